# The sidecar's image: compiled code and run-time packages, nothing else.
#   docker build -f sidecar.Dockerfile -t meshgate .

FROM node:26-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
COPY runtime/package.json runtime/
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/clean.ts scripts/
COPY lib lib
RUN npm run build

# The pinned development Node is an optional package of the runtime workspace: left out here, the image has its own.
FROM node:26-slim AS packages
WORKDIR /build
COPY package.json package-lock.json ./
COPY runtime/package.json runtime/
RUN npm ci --omit=dev --omit=optional --workspaces=false --no-audit --no-fund

FROM node:26-slim
ENV NODE_ENV=production
WORKDIR /opt/meshgate
COPY --from=packages /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY package.json LICENSE ./
USER node
EXPOSE 15001 15002
STOPSIGNAL SIGTERM
# The admin port listens on loopback inside the container; set MESHGATE_ADMIN if the configuration moves it.
ENV MESHGATE_ADMIN=127.0.0.1:15000
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
  CMD ["node", "-e", "fetch(`http://${process.env.MESHGATE_ADMIN}/ready`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/main.js", "run", "-c", "/etc/meshgate/meshgate.yaml"]
