package com.example.peers;

import java.util.Map;
import java.util.TreeMap;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.config.ProtocolConfig;
import org.apache.dubbo.config.RegistryConfig;
import org.apache.dubbo.config.ServiceConfig;
import org.apache.dubbo.rpc.RpcContext;
import org.apache.dubbo.rpc.model.ApplicationModel;
import org.apache.dubbo.rpc.model.FrameworkModel;

/** A Dubbo server. */
final class DubboPeer extends PeerBehaviour {
  /** A number, since Dubbo replaces every name and address of the loopback interface by another of the machine. */
  static final String LOOPBACK = "2130706433";

  /** An application of its own, so that servers and clients of one process do not share settings. */
  static ApplicationModel application(String name) {
    ApplicationModel model = FrameworkModel.defaultModel().newApplication();
    ApplicationConfig application = new ApplicationConfig(model);
    application.setName(name);
    application.setQosEnable(false);
    application.setMetadataType("local");
    model.getApplicationConfigManager().setApplication(application);
    return model;
  }

  /** Offers the service in versions 0.0.0 and, with a group, 2.0.0. */
  static void serve(int port, int threads, int queues) {
    ApplicationModel model = application("peer-server");
    ProtocolConfig protocol = new ProtocolConfig(model, "dubbo", port);
    protocol.setHost(LOOPBACK);
    protocol.setThreads(threads);
    protocol.setQueues(queues);
    protocol.setSerialization("hessian2");
    protocol.setPreferSerialization("hessian2,fastjson2");
    export(model, protocol, null, null);
    export(model, protocol, "2.0.0", "special");
  }

  private static void export(ApplicationModel model, ProtocolConfig protocol, String version, String group) {
    ServiceConfig<PeerService> service = new ServiceConfig<>(model.newModule());
    service.setInterface(PeerService.class);
    service.setRef(new DubboPeer());
    service.setRegistry(new RegistryConfig("N/A"));
    service.setProtocol(protocol);
    service.setVersion(version);
    service.setGroup(group);
    service.export();
  }

  @Override
  public Map<String, String> context() {
    Map<String, String> seen = new TreeMap<>();
    for (Map.Entry<String, Object> entry : RpcContext.getServerAttachment().getObjectAttachments().entrySet()) {
      if (entry.getKey().startsWith("x-")) {
        seen.put(entry.getKey(), String.valueOf(entry.getValue()));
      }
    }
    seen.put("app", String.valueOf(RpcContext.getServerAttachment().getAttachment("remote.application")));
    seen.put("version", String.valueOf(RpcContext.getServiceContext().getUrl().getVersion()));
    seen.put("group", String.valueOf(RpcContext.getServiceContext().getUrl().getGroup()));
    RpcContext.getServerResponseContext().setAttachment("x-answer", "from dubbo");
    return seen;
  }
}
