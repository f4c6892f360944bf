/** Java names in a configuration. Types are parsed by the protocols that use them; here it is enough to find the classes in them. */

const IDENTIFIER = /^[\p{L}_$][\p{L}\p{N}_$]*$/u
const CLASS_NAME = /^[\p{L}_$][\p{L}\p{N}_$]*(?:\.[\p{L}_$][\p{L}\p{N}_$]*)*$/u
const QUALIFIED_NAMES = /[\p{L}_$][\p{L}\p{N}_$]*(?:\.[\p{L}_$][\p{L}\p{N}_$]*)+/gu

/** True for the name of a method, field or constant. */
export function isIdentifier(text: string): boolean {
  return IDENTIFIER.test(text)
}

/** True for a class name such as `com.example.Order` or `com.example.Order$Item`. */
export function isClassName(text: string): boolean {
  return CLASS_NAME.test(text)
}

/** The classes with a package in a type such as `java.util.List<com.example.Item[]>` that Java does not bring along. */
export function projectClasses(type: string): string[] {
  return (type.match(QUALIFIED_NAMES) ?? []).filter((name) => !/^javax?\./.test(name))
}
