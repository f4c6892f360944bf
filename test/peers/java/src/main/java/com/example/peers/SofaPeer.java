package com.example.peers;

import com.alipay.sofa.rpc.config.ApplicationConfig;
import com.alipay.sofa.rpc.config.ProviderConfig;
import com.alipay.sofa.rpc.config.ServerConfig;
import com.alipay.sofa.rpc.context.RpcInvokeContext;
import com.alipay.sofa.rpc.core.exception.SofaRpcException;
import com.alipay.sofa.rpc.core.request.SofaRequest;
import com.alipay.sofa.rpc.core.response.SofaResponse;
import com.alipay.sofa.rpc.filter.Filter;
import com.alipay.sofa.rpc.filter.FilterInvoker;
import java.util.Collections;
import java.util.Map;
import java.util.TreeMap;

/** A SOFARPC server. */
final class SofaPeer extends PeerBehaviour {
  private static final ThreadLocal<Map<String, Object>> PROPS = new ThreadLocal<>();

  /** Offers the service on a port of the loopback interface, plain and with a unique id. */
  static void serve(int port, int threads, int queues) {
    ServerConfig server = new ServerConfig()
        .setProtocol("bolt")
        .setHost("127.0.0.1")
        .setPort(port)
        .setCoreThreads(threads)
        .setMaxThreads(threads)
        .setQueues(queues)
        .setDaemon(true);
    export(server, null);
    export(server, "special");
  }

  private static void export(ServerConfig server, String uniqueId) {
    ProviderConfig<PeerService> provider = new ProviderConfig<PeerService>()
        .setApplication(new ApplicationConfig().setAppName("peer-server"))
        .setInterfaceId(PeerService.class.getName())
        .setRef(new SofaPeer())
        .setServer(server)
        .setRegister(false)
        .setRepeatedExportLimit(-1)
        .setFilterRef(Collections.singletonList(new PropsFilter()));
    if (uniqueId != null) {
      provider.setUniqueId(uniqueId);
    }
    provider.export();
  }

  @Override
  public Map<String, String> context() {
    Map<String, String> seen = new TreeMap<>();
    for (Map.Entry<String, String> entry : RpcInvokeContext.getContext().getAllRequestBaggage().entrySet()) {
      if (entry.getKey().startsWith("x-")) {
        seen.put(entry.getKey(), entry.getValue());
      }
    }
    for (Map.Entry<String, Object> entry : PROPS.get().entrySet()) {
      if (entry.getKey().startsWith("x-")) {
        seen.put(entry.getKey(), String.valueOf(entry.getValue()));
      }
    }
    seen.put("app", String.valueOf(PROPS.get().get("app")));
    RpcInvokeContext.getContext().putResponseBaggage("x-answer", "from sofa");
    return seen;
  }

  /** Keeps what a request bears beside its arguments. */
  private static final class PropsFilter extends Filter {
    @Override
    public SofaResponse invoke(FilterInvoker invoker, SofaRequest request) throws SofaRpcException {
      PROPS.set(request.getRequestProps());
      return invoker.invoke(request);
    }
  }
}
