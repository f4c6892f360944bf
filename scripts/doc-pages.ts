// The pages of docs/ that come from the code. scripts/docs.ts writes them, test/docs.test.ts compares them.
import { renderConfigurationPage } from './doc-configuration.ts'
import { renderErrorsPage } from './doc-errors.ts'

/** A page made by a function. `path` is relative to the repository. */
export interface GeneratedPage {
  readonly path: string
  readonly render: () => string | Promise<string>
}

/** Every generated page. */
export const pages: readonly GeneratedPage[] = [
  { path: 'docs/configuration.md', render: renderConfigurationPage },
  { path: 'docs/errors.md', render: renderErrorsPage },
]
