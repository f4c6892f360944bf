/**
 * Bounds on one Hessian message: a message that goes past one is refused before the work it asks for is done. A
 * message is everything between two resets. Text needs no bound of its own: a unit takes at least one byte of the
 * input and is decoded once, so decoded strings never hold more than two bytes for each byte of the message.
 */
export interface HessianLimits {
  /** How deep lists, maps and objects may lie in one another. */
  readonly maxDepth: number
  /** Elements of lists, keys and values of maps, and fields of objects, in all. */
  readonly maxElements: number
  /** Class definitions. */
  readonly maxClasses: number
  /** Fields of one class definition. */
  readonly maxFields: number
  /** Bytes of the name of a class, a field or a type, with its length in front. */
  readonly maxNameBytes: number
}

/** The limits that apply where nothing else is said. */
export const DEFAULT_LIMITS: HessianLimits = {
  maxDepth: 64,
  maxElements: 100_000,
  maxClasses: 256,
  maxFields: 512,
  maxNameBytes: 512,
}

/**
 * Input that is not Hessian of the expected dialect, ends too early, or goes past a limit. Never thrown for anything
 * but the input; what the codec was doing is for the codec to add.
 */
export class HessianError extends Error {
  override readonly name = 'HessianError'
  /** Index in the bytes that were read, where the trouble lies. */
  readonly offset: number

  constructor(message: string, offset: number) {
    super(message)
    this.offset = offset
  }
}
