/**
 * The loaded configuration: defaults filled in, durations in milliseconds, sizes in bytes, short forms spelled out,
 * deeply frozen. Most of its types are derived from the schema.
 */
import type { CallTarget, MatchRule, Translation } from '../core/route.ts'
import type { configSchema } from './schema.ts'
import type { clusterSchema, listenerSchema } from './schema-network.ts'
import type { redirectSchema, routeSchema } from './schema-routes.ts'

/** The loaded form of what a schema describes: a key is present when it is required or has a default. */
export type Loaded<S> = S extends { readonly unit: string }
  ? number
  : S extends { readonly enum: readonly (infer Value)[] }
    ? Value
    : S extends { readonly properties: infer Properties }
      ? LoadedObject<S, Properties>
      : S extends { readonly additionalProperties: infer Value extends object }
        ? Readonly<Record<string, Loaded<Value>>>
        : S extends { readonly items: infer Item }
          ? readonly Loaded<Item>[]
          : LoadedScalar<S>

type LoadedScalar<S> = S extends { readonly type: 'string' }
  ? string
  : S extends { readonly type: 'integer' | 'number' }
    ? number
    : S extends { readonly type: 'boolean' }
      ? boolean
      : unknown

type LoadedObject<S, Properties> = {
  readonly [Key in keyof Properties as IsPresent<S, Properties, Key> extends true ? Key : never]: Loaded<
    Properties[Key]
  >
} & {
  readonly [Key in keyof Properties as IsPresent<S, Properties, Key> extends true ? never : Key]?: Loaded<
    Properties[Key]
  >
}

type IsPresent<S, Properties, Key extends keyof Properties> = Properties[Key] extends
  | { readonly default: unknown }
  | { readonly defaultNote: unknown }
  ? true
  : S extends { readonly required: readonly (infer Name)[] }
    ? Key extends Name
      ? true
      : false
    : false

/** One listener. */
export type ListenerConfig = Loaded<typeof listenerSchema>

/** One endpoint of a cluster. */
export interface EndpointConfig {
  readonly address: string
  readonly weight: number
}

/** One cluster. */
export type ClusterConfig = Omit<Loaded<typeof clusterSchema>, 'endpoints'> & {
  readonly endpoints: readonly EndpointConfig[]
}

/** One filter of the chain. */
export interface FilterConfig {
  /** What routes and logs call it; unique. */
  readonly name: string
  /** Name of a built-in filter, or path of a module. */
  readonly use: string
  /** False when only routes switch it on. */
  readonly enabled: boolean
  /** As written, without `use`, `name` and `enabled`; checked against the filter's schema. */
  readonly options: Readonly<Record<string, unknown>>
}

/** What a route says about filters: true and false switch, a mapping gives options over the chain's. */
export type RouteFilters = Readonly<Record<string, boolean | Readonly<Record<string, unknown>>>>

/** A redirect of a route. */
export type RedirectConfig = Loaded<typeof redirectSchema>

/** Where a route leads: either `clusters` holds at least one, or `redirect` is there. */
export interface TargetConfig {
  readonly clusters: readonly { readonly cluster: string; readonly weight: number }[]
  readonly redirect: RedirectConfig | null
  /** How a request crosses to another protocol or service, null when the route says nothing; `''` in a field that it leaves open. */
  readonly translation: Omit<Translation, 'call'> | null
  /** The call that a request which is no RPC becomes; null when the route leads to none. */
  readonly call: CallTarget | null
}

/** One route. */
export type RouteConfig = Omit<Loaded<typeof routeSchema>, 'match' | 'to' | 'filters'> & {
  /** Header names are in lower case. */
  readonly match: MatchRule
  readonly to: TargetConfig
  /** By the filter's name in the chain; null when the route changes none. */
  readonly filters: RouteFilters | null
}

/** The whole configuration. */
export type Config = Omit<
  Loaded<typeof configSchema>,
  '$schema' | 'listeners' | 'clusters' | 'filters' | 'routes'
> & {
  readonly listeners: readonly ListenerConfig[]
  readonly clusters: readonly ClusterConfig[]
  readonly filters: readonly FilterConfig[]
  readonly routes: readonly RouteConfig[]
}

/** The built-in filters that a configuration may use: name → JSON Schema of the options, null for any mapping. */
export type FilterCatalog = ReadonlyMap<string, object | null>
