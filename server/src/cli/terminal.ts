import { styleText } from 'node:util'
import { printableJson } from './printable.ts'

export type Tint = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'

/** Where results, notes and questions go. Results go to standard output, everything else to standard error. */
export type Terminal = {
  /** A person sits at it and can be asked. */
  readonly interactive: boolean
  /** Columns of standard output, undefined when it is not a terminal. */
  readonly columns: number | undefined
  readonly input: Input
  readonly errors: Output
  /** Standard output, as it is. */
  write(text: string): void
  json(value: unknown): void
  /** A line for the person, on standard error. */
  note(text: string): void
  /** Coloured only where standard output shows colours and NO_COLOR is not set. */
  tint(tint: Tint, text: string): string
}

export type Input = NodeJS.ReadableStream & { readonly isTTY?: boolean }
export type Output = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number }
export type Streams = { readonly stdin: Input; readonly stdout: Output; readonly stderr: Output }

export function createTerminal({ stdin, stdout, stderr }: Streams): Terminal {
  return {
    interactive: stdin.isTTY === true && stderr.isTTY === true,
    columns: stdout.isTTY ? stdout.columns : undefined,
    input: stdin,
    errors: stderr,
    write: (text) => void stdout.write(text),
    json: (value) => void stdout.write(`${printableJson(value, 2)}\n`),
    note: (text) => void stderr.write(`${text}\n`),
    tint: (tint, text) => styleText(tint, text, { stream: stdout }),
  }
}
