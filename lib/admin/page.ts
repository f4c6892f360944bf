/** GET / */
import { content, type Endpoint } from './endpoint.ts'

/** The page for a browser. Its modules are loaded when somebody asks for it. */
export const page: Endpoint = {
  method: 'GET',
  path: '/',
  summary: 'the page for a browser; ?refresh=1 (seconds)',
  async handle() {
    const { readPage } = await import('./page/html.ts')
    const { html, policy } = readPage()
    return content('text/html; charset=utf-8', html, { 'content-security-policy': policy })
  },
}
