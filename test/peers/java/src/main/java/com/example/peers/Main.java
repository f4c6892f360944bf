package com.example.peers;

import com.alibaba.fastjson2.JSON;
import com.alibaba.fastjson2.JSONObject;
import com.alipay.sofa.rpc.common.RpcConfigs;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;

/**
 * Does what lines of JSON on stdin say, one thread each, and answers with lines of JSON that repeat the command's `id`:
 * any number with a `check`, then one with `isDone`.
 */
public final class Main {
  private final PrintStream out;
  private final Map<String, PeerClient> clients = new ConcurrentHashMap<>();

  private Main(PrintStream out) {
    this.out = out;
  }

  public static void main(String[] args) throws IOException {
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    // Whatever a library prints is not an answer.
    System.setOut(System.err);
    RpcConfigs.putValue("invoke.baggage.enable", true);
    Main main = new Main(out);
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      JSONObject command = JSON.parseObject(line);
      Thread thread = new Thread(() -> main.handle(command));
      thread.setDaemon(true);
      thread.start();
    }
    Runtime.getRuntime().halt(0);
  }

  private void handle(JSONObject command) {
    JSONObject answer = new JSONObject();
    answer.put("id", command.get("id"));
    answer.put("isDone", true);
    try {
      perform(command, answer);
    } catch (Throwable error) {
      answer.put("error", Checks.messages(error));
      error.printStackTrace();
    }
    print(answer);
  }

  private void perform(JSONObject command, JSONObject answer) throws Exception {
    switch (command.getString("do")) {
      case "serve":
        serve(command);
        break;
      case "check":
        check(command);
        break;
      case "calls":
        answer.put("outcomes", calls(command));
        break;
      case "close":
        close(command);
        break;
      default:
        throw new IllegalArgumentException("unknown command " + command);
    }
  }

  private static void serve(JSONObject command) {
    int port = command.getIntValue("port");
    int threads = command.getIntValue("threads", 20);
    int queues = command.getIntValue("queues", 2000);
    if (command.getString("framework").equals("sofa")) {
      SofaPeer.serve(port, threads, queues);
    } else {
      DubboPeer.serve(port, threads, queues);
    }
  }

  /** Clients are kept: one for each framework, port, variant, number of connections, timeout and group. */
  private PeerClient client(JSONObject command) {
    String variant = command.getString("variant");
    int port = command.getIntValue("port");
    int connections = Math.max(1, command.getIntValue("connections"));
    int timeoutMs = command.getIntValue("timeoutMs");
    boolean isSofa = command.getString("framework").equals("sofa");
    // Of a service that no server offers; calls of it need a gateway that renames it.
    String group = command.containsKey("group") ? command.getString("group") : "";
    String key = isSofa + " " + port + " " + variant + " " + connections + " " + timeoutMs + " " + group;
    return clients.computeIfAbsent(key, ignored -> isSofa
        ? new SofaClient(port, variant, connections, timeoutMs, group)
        : new DubboClient(port, variant, connections, timeoutMs, group));
  }

  private void check(JSONObject command) {
    PeerClient client = client(command);
    Checks checks = new Checks();
    CommonChecks.add(checks, client);
    client.addChecks(checks);
    for (Checks.Check check : checks.all()) {
      JSONObject line = new JSONObject();
      line.put("id", command.get("id"));
      line.put("check", check.name);
      try {
        line.put("saw", check.body.run());
        line.put("isOk", true);
      } catch (Throwable error) {
        line.put("saw", error instanceof AssertionError ? error.getMessage() : Checks.messages(error));
        line.put("isOk", false);
      }
      print(line);
    }
  }

  /** Many calls at once: outcome → how often. With `isVerbose` failures show their messages. */
  private Map<String, Integer> calls(JSONObject command) {
    PeerClient client = client(command);
    int count = Math.max(1, command.getIntValue("count"));
    String method = command.getString("method");
    List<CompletableFuture<Object>> calls = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      calls.add(method.equals("slow")
          ? client.slow(command.getLongValue("delayMs"))
          : client.text(command.getString("text")));
    }
    Map<String, Integer> outcomes = new TreeMap<>();
    for (CompletableFuture<Object> call : calls) {
      outcomes.merge(outcome(call, command.getBooleanValue("isVerbose")), 1, Integer::sum);
    }
    return outcomes;
  }

  private static String outcome(CompletableFuture<Object> call, boolean isVerbose) {
    try {
      return String.valueOf(call.get(30, TimeUnit.SECONDS));
    } catch (Exception error) {
      Throwable thrown = error instanceof ExecutionException ? error.getCause() : error;
      return isVerbose ? Checks.messages(thrown) : Checks.outcome(thrown);
    }
  }

  private void close(JSONObject command) {
    String port = " " + command.getIntValue("port") + " ";
    for (String key : List.copyOf(clients.keySet())) {
      if (key.contains(port)) {
        clients.remove(key).close();
      }
    }
  }

  private synchronized void print(JSONObject line) {
    out.println(JSON.toJSONString(line));
  }
}
