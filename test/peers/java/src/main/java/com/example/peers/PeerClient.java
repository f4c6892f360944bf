package com.example.peers;

import java.util.concurrent.CompletableFuture;

/** A client of one framework to one port. */
interface PeerClient extends AutoCloseable {
  /** The ordinary client. */
  PeerService service();

  /** Begins a call of {@link PeerService#slow}; any number at once. */
  CompletableFuture<Object> slow(long delayMs);

  /** Begins a call of {@link PeerService#text}; any number at once. */
  CompletableFuture<Object> text(String value);

  /** The checks that only this framework has. */
  void addChecks(Checks checks);

  @Override
  void close();
}
