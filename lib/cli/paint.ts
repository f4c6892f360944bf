/** Colours for terminals, and only for them. */

/** Where output goes. */
export interface Output {
  write(text: string): unknown
  readonly isTTY?: boolean
}

/** Colours a text, or leaves it as it is. */
export interface Paint {
  bold(text: string): string
  dim(text: string): string
  red(text: string): string
  yellow(text: string): string
  green(text: string): string
}

/** Colours when `output` is a terminal that wants them: `NO_COLOR` and `TERM=dumb` say no. */
export function paintFor(output: Output, environment: NodeJS.ProcessEnv = process.env): Paint {
  const isColoured = output.isTTY === true && !environment.NO_COLOR && environment.TERM !== 'dumb'
  const style = (open: number, close: number) => (text: string) => {
    return isColoured ? `\x1b[${open}m${text}\x1b[${close}m` : text
  }
  return {
    bold: style(1, 22),
    dim: style(2, 22),
    red: style(31, 39),
    yellow: style(33, 39),
    green: style(32, 39),
  }
}
