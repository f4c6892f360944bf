/** Routes that get in each other's way. */
import type { RouteConfig } from './config/config.ts'
import type { Finding } from './config/problem.ts'
import { RouteNames } from './route-names.ts'
import { findConflicts } from './router/conflicts.ts'

/** Ambiguous and shadowed routes, as warnings. */
export function findRouteConflicts(routes: readonly RouteConfig[]): Finding[] {
  const names = new RouteNames()
  const rules = routes.map((route) => ({ rule: route.match, label: names.nameOf(route) }))
  return findConflicts(rules).map(({ index, message }) => ({
    path: ['routes', index, 'match'],
    message,
    hint: '',
    severity: 'warning',
  }))
}
