package com.example.peers;

import com.alipay.hessian.generic.model.GenericObject;
import com.alipay.sofa.rpc.api.GenericService;
import com.alipay.sofa.rpc.config.ApplicationConfig;
import com.alipay.sofa.rpc.config.ConsumerConfig;
import com.alipay.sofa.rpc.config.MethodConfig;
import com.alipay.sofa.rpc.context.RpcInvokeContext;
import com.alipay.sofa.rpc.core.exception.SofaRpcException;
import com.alipay.sofa.rpc.core.invoke.SofaResponseCallback;
import com.alipay.sofa.rpc.core.request.RequestBase;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** A SOFARPC client. */
final class SofaClient implements PeerClient {
  private static final int TIMEOUT_MS = 5000;
  private static final int IDLE_MS = 1500;

  private final String address;
  private final int connections;
  private final List<ConsumerConfig<?>> consumers = new ArrayList<>();
  private final PeerService service;
  private final PeerService calling;

  SofaClient(int port, String wire, int connections, int timeoutMs, String group) {
    address = "bolt://127.0.0.1:" + port + "?wire=" + wire;
    this.connections = connections;
    int limitMs = timeoutMs > 0 ? timeoutMs : TIMEOUT_MS;
    service = refer(consumer(PeerService.class, "sync", limitMs, group));
    calling = refer(consumer(PeerService.class, "callback", limitMs, group));
  }

  private <T> ConsumerConfig<T> consumer(Class<T> type, String invokeType, int timeoutMs, String uniqueId) {
    ConsumerConfig<T> config = new ConsumerConfig<T>()
        .setApplication(new ApplicationConfig().setAppName("peer-client"))
        .setInterfaceId(PeerService.class.getName())
        .setProtocol("bolt")
        .setDirectUrl(address)
        .setInvokeType(invokeType)
        .setTimeout(timeoutMs)
        .setConnectTimeout(3000)
        .setReconnectPeriod(200)
        .setConnectionNum(connections)
        .setRepeatedReferLimit(-1)
        .setRegister(false)
        .setSubscribe(false);
    return uniqueId.isEmpty() ? config : config.setUniqueId(uniqueId);
  }

  private <T> T refer(ConsumerConfig<T> consumer) {
    consumers.add(consumer);
    return consumer.refer();
  }

  @Override
  public PeerService service() {
    return service;
  }

  @Override
  public CompletableFuture<Object> slow(long delayMs) {
    return begin(() -> calling.slow(delayMs));
  }

  @Override
  public CompletableFuture<Object> text(String value) {
    return begin(() -> calling.text(value));
  }

  /** A call through a client whose calls end in a callback. */
  private CompletableFuture<Object> begin(Runnable call) {
    CompletableFuture<Object> result = new CompletableFuture<>();
    RpcInvokeContext.getContext().setResponseCallback(new Completing(result));
    try {
      call.run();
    } catch (SofaRpcException error) {
      result.completeExceptionally(error);
    } finally {
      RpcInvokeContext.removeContext();
    }
    return result;
  }

  private static final class Completing implements SofaResponseCallback<Object> {
    private final CompletableFuture<Object> result;

    Completing(CompletableFuture<Object> result) {
      this.result = result;
    }

    @Override
    public void onAppResponse(Object answer, String method, RequestBase request) {
      result.complete(answer);
    }

    @Override
    public void onAppException(Throwable error, String method, RequestBase request) {
      result.completeExceptionally(error);
    }

    @Override
    public void onSofaException(SofaRpcException error, String method, RequestBase request) {
      result.completeExceptionally(error);
    }
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
    checks.same("callback", "called back", () -> text("called back").get(TIMEOUT_MS, TimeUnit.MILLISECONDS));
    checks.add("callback of an exception", () -> {
      CompletableFuture<Object> failing = begin(() -> {
        try {
          calling.fail("own");
        } catch (PeerException error) {
          throw new AssertionError(error);
        }
      });
      return Checks.outcome(() -> failing.get(TIMEOUT_MS, TimeUnit.MILLISECONDS));
    });
    checks.add("future", () -> {
      PeerService later = refer(consumer(PeerService.class, "future", TIMEOUT_MS, ""));
      later.text("later");
      return String.valueOf(RpcInvokeContext.getContext().getFuture().get(TIMEOUT_MS, TimeUnit.MILLISECONDS));
    });
    checks.add("one-way", () -> {
      ConsumerConfig<PeerService> config = consumer(PeerService.class, "sync", TIMEOUT_MS, "");
      MethodConfig publish = new MethodConfig().setName("publish");
      publish.setInvokeType("oneway");
      config.setMethods(Collections.singletonList(publish));
      PeerService oneWay = refer(config);
      String key = "sofa-" + System.nanoTime();
      oneWay.publish(key);
      long until = System.currentTimeMillis() + TIMEOUT_MS;
      while (service.published(key) == 0 && System.currentTimeMillis() < until) {
        Thread.sleep(5);
      }
      return "published " + service.published(key);
    });
  }

  private void addGeneric(Checks checks) {
    ConsumerConfig<GenericService> config = consumer(GenericService.class, "sync", TIMEOUT_MS, "");
    GenericService generic = refer(config.setGeneric(true));
    String[] text = {"java.lang.String"};
    checks.same("generic $invoke", "gen", () -> generic.$invoke("text", text, new Object[] {"gen"}));
    checks.add("generic objects", () -> {
      GenericObject item = new GenericObject(Item.class.getName());
      item.putField("sku", "generic");
      item.putField("count", 5);
      Object answer = generic.$genericInvoke("item", new String[] {Item.class.getName()}, new Object[] {item});
      GenericObject same = (GenericObject) answer;
      return same.getType() + " " + same.getField("sku") + " " + same.getField("count");
    });
    checks.add("generic objects in, a class out", () -> {
      GenericObject item = new GenericObject(Item.class.getName());
      item.putField("sku", "mixed");
      item.putField("count", 6);
      String[] types = {Item.class.getName()};
      return Values.describe(generic.$genericInvoke("item", types, new Object[] {item}, Item.class));
    });
    checks.add("generic list of objects", () -> {
      GenericObject item = new GenericObject(Item.class.getName());
      item.putField("sku", "listed");
      item.putField("count", 7);
      List<Object> items = new ArrayList<>(Collections.singletonList(item));
      return String.valueOf(generic.$genericInvoke("items", new String[] {"java.util.List"}, new Object[] {items}));
    });
    checks.add("generic call that fails", () -> {
      Object answer = generic.$genericInvoke("fail", text, new Object[] {"own"});
      GenericObject error = (GenericObject) answer;
      return error.getType() + " " + error.getField("code") + " " + error.getField("detailMessage");
    });
    checks.fails("unknown method", "SofaRpcException", () -> generic.$invoke("missing", text, new Object[] {"x"}));
    checks.fails("wrong parameter types", "SofaRpcException",
        () -> generic.$invoke("text", new String[] {"int"}, new Object[] {1}));
  }

  private void addRefusals(Checks checks) {
    PeerService nowhere = refer(consumer(PeerService.class, "sync", TIMEOUT_MS, "nowhere"));
    checks.fails("unknown service", "SofaR", () -> nowhere.text("x"));
    PeerService hasty = refer(consumer(PeerService.class, "sync", 300, ""));
    checks.fails("timeout", "SofaTimeOutException", () -> hasty.slow(1200));
    checks.same("a call behind the late answer", "still here", () -> {
      Thread.sleep(1000);
      return hasty.text("still here");
    });
  }

  private void addContext(Checks checks) {
    checks.add("baggage and headers", () -> {
      RpcInvokeContext context = RpcInvokeContext.getContext();
      context.putRequestBaggage("x-tenant", "t1 \u4e2d");
      context.putRequestBaggage("x-route", "canary");
      context.addCustomHeader("x-user", "u1");
      Map<String, String> seen = new TreeMap<>(service.context());
      String answer = RpcInvokeContext.getContext().getResponseBaggage("x-answer");
      RpcInvokeContext.removeContext();
      return Checks.expect(
          seen.toString().contains("canary") && "from sofa".equals(answer), seen + ", answered " + answer);
    });
  }

  @Override
  public void close() {
    for (ConsumerConfig<?> consumer : consumers) {
      consumer.unRefer();
    }
  }
}
