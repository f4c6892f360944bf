package com.example.peers;

import java.io.Serializable;

/** A bean that leads back to itself. */
public class Ring implements Serializable {
  private static final long serialVersionUID = 1L;

  private String name;
  private Ring next;

  public Ring() {}

  public Ring(String name) {
    this.name = name;
  }

  public String getName() {
    return name;
  }

  public void setName(String name) {
    this.name = name;
  }

  public Ring getNext() {
    return next;
  }

  public void setNext(Ring next) {
    this.next = next;
  }
}
