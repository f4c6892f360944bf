/** What a hook decided. A hook that returns nothing continues. */
export const Verdict = { Continue: 0, Reply: 1 } as const
export type Verdict = (typeof Verdict)[keyof typeof Verdict]
