package com.example.peers;

import java.io.Serializable;

/** A generic bean. */
public class Box<T> implements Serializable {
  private static final long serialVersionUID = 1L;

  private String label;
  private T content;

  public Box() {}

  public Box(String label, T content) {
    this.label = label;
    this.content = content;
  }

  public String getLabel() {
    return label;
  }

  public void setLabel(String label) {
    this.label = label;
  }

  public T getContent() {
    return content;
  }

  public void setContent(T content) {
    this.content = content;
  }
}
