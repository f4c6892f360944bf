package com.example.peers;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;

/** A recursive bean. */
public class Tree implements Serializable {
  private static final long serialVersionUID = 1L;

  private String name;
  private List<Tree> children = new ArrayList<>();

  public Tree() {}

  public Tree(String name) {
    this.name = name;
  }

  /** A tree in which every node down to {@code depth} has {@code width} children. */
  public static Tree grow(String name, int depth, int width) {
    Tree tree = new Tree(name);
    for (int i = 0; depth > 0 && i < width; i++) {
      tree.children.add(grow(name + "." + i, depth - 1, width));
    }
    return tree;
  }

  public String getName() {
    return name;
  }

  public void setName(String name) {
    this.name = name;
  }

  public List<Tree> getChildren() {
    return children;
  }

  public void setChildren(List<Tree> children) {
    this.children = children;
  }
}
