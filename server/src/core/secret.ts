import { inspect } from 'node:util'

/** A value that prints as [secret] everywhere. `reveal()` is the only way out, so a grep finds every use. */
export class Secret {
  readonly #value: string
  constructor(value: string) {
    this.#value = value
  }
  reveal(): string {
    return this.#value
  }
  /** Length in UTF-16 units; safe to show. */
  get length(): number {
    return this.#value.length
  }
  toString(): string {
    return '[secret]'
  }
  toJSON(): string {
    return '[secret]'
  }
  [inspect.custom](): string {
    return '[secret]'
  }
}
