package com.example.peers;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.apache.dubbo.config.MethodConfig;
import org.apache.dubbo.config.ReferenceConfig;
import org.apache.dubbo.rpc.RpcContext;
import org.apache.dubbo.rpc.model.ApplicationModel;
import org.apache.dubbo.rpc.service.EchoService;
import org.apache.dubbo.rpc.service.GenericService;

/** A Dubbo client. */
final class DubboClient implements PeerClient {
  private static final int TIMEOUT_MS = 5000;
  private static final int IDLE_MS = 2500;

  private final ApplicationModel model = DubboPeer.application("peer-client");
  private final String address;
  private final int connections;
  private final int timeoutMs;
  private final PeerService service;

  DubboClient(int port, String serialization, int connections, int timeoutMs, String group) {
    address = "dubbo://" + DubboPeer.LOOPBACK + ":" + port + "?heartbeat=1000&serialization=" + serialization
        + "&prefer.serialization=" + serialization;
    this.connections = connections;
    this.timeoutMs = timeoutMs > 0 ? timeoutMs : TIMEOUT_MS;
    service = refer(config -> {
      config.setInterface(PeerService.class);
      if (!group.isEmpty()) {
        config.setGroup(group);
        config.setVersion("9.9.9");
      }
    });
  }

  private <T> T refer(Consumer<ReferenceConfig<T>> change) {
    ReferenceConfig<T> config = new ReferenceConfig<>(model.newModule());
    config.setUrl(address);
    config.setTimeout(timeoutMs);
    config.setRetries(0);
    config.setCheck(false);
    config.setConnections(connections);
    change.accept(config);
    return config.get();
  }

  @Override
  public PeerService service() {
    return service;
  }

  @Override
  public CompletableFuture<Object> slow(long delayMs) {
    return RpcContext.getServiceContext().asyncCall(() -> (Object) service.slow(delayMs));
  }

  @Override
  public CompletableFuture<Object> text(String value) {
    return RpcContext.getServiceContext().asyncCall(() -> (Object) service.text(value));
  }

  @Override
  public void addChecks(Checks checks) {
    addKindsOfCall(checks);
    addGeneric(checks);
    addRefusals(checks);
    addContext(checks);
    checks.add("a call after heartbeats", () -> {
      Thread.sleep(IDLE_MS);
      return service.text("alive");
    });
  }

  private void addKindsOfCall(Checks checks) {
    checks.same("future", "later", () -> text("later").get(TIMEOUT_MS, TimeUnit.MILLISECONDS));
    checks.add("callback", () -> {
      CompletableFuture<String> called = new CompletableFuture<>();
      text("called back").whenComplete((answer, error) -> called.complete(answer + ", " + error));
      return called.get(TIMEOUT_MS, TimeUnit.MILLISECONDS);
    });
    checks.add("future of an exception", () -> {
      CompletableFuture<String> failing = RpcContext.getServiceContext().asyncCall(() -> service.fail("own"));
      return Checks.outcome(() -> failing.get(TIMEOUT_MS, TimeUnit.MILLISECONDS));
    });
    checks.add("one-way", () -> {
      MethodConfig publish = new MethodConfig();
      publish.setName("publish");
      publish.setReturn(false);
      PeerService oneWay = refer(config -> {
        config.setInterface(PeerService.class);
        config.setMethods(Collections.singletonList(publish));
      });
      String key = "dubbo-" + System.nanoTime();
      oneWay.publish(key);
      long until = System.currentTimeMillis() + TIMEOUT_MS;
      while (service.published(key) == 0 && System.currentTimeMillis() < until) {
        Thread.sleep(5);
      }
      return "published " + service.published(key);
    });
    checks.same("$echo", "ok", () -> ((EchoService) service).$echo("ok"));
  }

  private void addGeneric(Checks checks) {
    GenericService generic = refer(config -> {
      config.setInterface(PeerService.class.getName());
      config.setGeneric("true");
    });
    String[] text = {"java.lang.String"};
    checks.same("generic $invoke", "gen", () -> generic.$invoke("text", text, new Object[] {"gen"}));
    checks.add("generic bean as a map", () -> {
      Map<String, Object> item = new HashMap<>();
      item.put("class", Item.class.getName());
      item.put("sku", "generic");
      item.put("count", 5);
      Object answer = generic.$invoke("item", new String[] {Item.class.getName()}, new Object[] {item});
      return new TreeMap<>((Map<?, ?>) answer).toString();
    });
    checks.add("generic list of maps", () -> {
      Map<String, Object> item = new HashMap<>();
      item.put("class", Item.class.getName());
      item.put("sku", "listed");
      List<Object> items = new ArrayList<>(Collections.singletonList(item));
      return Values.describe(generic.$invoke("items", new String[] {"java.util.List"}, new Object[] {items}));
    });
    checks.add("generic enum", () -> {
      String[] types = {Color.class.getName()};
      return Values.describe(generic.$invoke("color", types, new Object[] {"GREEN"}));
    });
    checks.fails("generic call that fails", "", () -> generic.$invoke("fail", text, new Object[] {"own"}));
    checks.fails("unknown method", "", () -> generic.$invoke("missing", text, new Object[] {"x"}));
  }

  private void addRefusals(Checks checks) {
    GenericService nowhere = refer(config -> {
      config.setInterface("com.example.peers.Nowhere");
      config.setGeneric("true");
    });
    checks.fails("unknown service", "RpcException",
        () -> nowhere.$invoke("text", new String[] {"java.lang.String"}, new Object[] {"x"}));
    PeerService otherVersion = refer(config -> {
      config.setInterface(PeerService.class);
      config.setVersion("9.9.9");
    });
    checks.fails("unknown version", "RpcException", () -> otherVersion.text("x"));
    PeerService hasty = refer(config -> {
      config.setInterface(PeerService.class);
      config.setTimeout(300);
    });
    checks.fails("timeout", "RpcException code 2", () -> hasty.slow(1200));
    checks.same("a call behind the late answer", "still here", () -> {
      Thread.sleep(1000);
      return hasty.text("still here");
    });
  }

  private void addContext(Checks checks) {
    checks.add("attachments", () -> seen(service));
    PeerService special = refer(config -> {
      config.setInterface(PeerService.class);
      config.setVersion("2.0.0");
      config.setGroup("special");
    });
    checks.add("attachments, version and group", () -> seen(special));
  }

  private static String seen(PeerService service) {
    RpcContext.getClientAttachment().setAttachment("x-tenant", "t1 \u4e2d");
    RpcContext.getClientAttachment().setAttachment("x-route", "canary");
    Map<String, String> seen = new TreeMap<>(service.context());
    String answer = RpcContext.getClientResponseContext().getAttachment("x-answer");
    return Checks.expect(
        seen.toString().contains("canary") && "from dubbo".equals(answer), seen + ", answered " + answer);
  }

  @Override
  public void close() {
    model.destroy();
  }
}
