package com.example.peers;

import com.alipay.remoting.InvokeContext;
import com.alipay.remoting.Url;
import com.alipay.remoting.rpc.protocol.RpcProtocol;
import com.alipay.remoting.rpc.protocol.RpcProtocolV2;
import com.alipay.sofa.rpc.client.ProviderInfo;
import com.alipay.sofa.rpc.core.request.SofaRequest;
import com.alipay.sofa.rpc.ext.Extension;
import com.alipay.sofa.rpc.transport.ClientTransportConfig;
import com.alipay.sofa.rpc.transport.bolt.BoltClientTransport;
import java.util.Properties;

/**
 * SOFARPC's own transport, which takes the version of Bolt from the address: {@code ?wire=v1}, {@code v2} (with
 * checksums) or {@code v2-plain} (without).
 */
@Extension(value = "bolt", override = true, order = 1)
public class VersionedBoltTransport extends BoltClientTransport {
  private final String wire;

  public VersionedBoltTransport(ClientTransportConfig config) {
    super(config);
    wire = wireOf(config.getProviderInfo());
  }

  private static String wireOf(ProviderInfo provider) {
    String wire = provider.getStaticAttr("wire");
    return wire == null ? "v1" : wire;
  }

  @Override
  protected Url convertProviderToUrl(ClientTransportConfig config, ProviderInfo provider) {
    String wire = wireOf(provider);
    Url plain = super.convertProviderToUrl(config, provider);
    // Connections are shared by key; versions may not share one.
    String key = provider.getHost() + ":" + provider.getPort() + "#" + provider.getAttr("wire");
    Url url = new Url(plain.getOriginUrl(), plain.getIp(), plain.getPort(), key, new Properties());
    url.setConnectTimeout(plain.getConnectTimeout());
    url.setConnNum(plain.getConnNum());
    url.setConnWarmup(plain.getConnNum() > 1);
    url.setProtocol(wire.equals("v1") ? RpcProtocol.PROTOCOL_CODE : RpcProtocolV2.PROTOCOL_CODE);
    url.setVersion(wire.equals("v1") ? RpcProtocolV2.PROTOCOL_VERSION_1 : RpcProtocolV2.PROTOCOL_VERSION_2);
    return url;
  }

  @Override
  protected InvokeContext createInvokeContext(SofaRequest request) {
    InvokeContext context = super.createInvokeContext(request);
    if (wire.equals("v2-plain")) {
      context.put(InvokeContext.BOLT_CRC_SWITCH, false);
    }
    return context;
  }
}
