import { api, type Json, type Operation } from '@keyward/contract'
import { type Command, InvalidArgumentError } from 'commander'
import { AppError } from '../../core/index.ts'
import { type CommonOptions, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { readInput } from '../input.ts'
import type { CommandNeeds } from '../needs.ts'
import { type Column, renderTable } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version'>
type Fields = { [key: string]: Json }
type ApiOptions = CommonOptions & { readonly input?: string }

/** Every operation of the contract, by its name. */
export const operations: ReadonlyMap<string, Operation> = new Map(
  Object.values(api)
    .flatMap((noun): Operation[] => Object.values(noun))
    .map((operation) => [operation.name, operation]),
)

export function apiCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'api [operation] [fields...]',
    summary: 'Call any operation of the API by its name',
    details:
      'Without a name, lists the operations. Fields are given as name=value, or as a JSON object with --input; a value\n' +
      'that must not be seen by others on this machine belongs into --input. The answer is written as JSON.',
    examples: [
      'keyward api',
      'keyward api runs.list state=Failed limit=5',
      `echo '{"findingIds":["fnd_01"]}' | keyward api findings.preview --input -`,
    ],
  })
    .option('--input <file>', 'JSON object with the fields; - is standard input')
    .action(async (name: string | undefined, pairs: string[], { input, ...options }: ApiOptions) => {
      if (name === undefined) return listOperations(needs, options)
      const operation = operations.get(name)
      if (!operation)
        throw new AppError('request.not_found', `no operation is called ${name}. See: keyward api`)
      refuseSignIn(operation)
      const given = input === undefined ? {} : await readInput(terminal, input)
      const fields = { ...given, ...fieldsOf(operation, pairs) }
      const client = await connect(needs, options)
      terminal.json(await client.call(operation, fields))
    })
}

function listOperations({ terminal }: Needs, { json }: CommonOptions): void {
  const rows = [...operations.values()]
  if (json) terminal.json(rows.map(({ name, method, path, summary }) => ({ name, method, path, summary })))
  else terminal.write(renderTable(operationColumns, rows, terminal.columns))
}

const operationColumns: readonly Column<Operation>[] = [
  { title: 'name', value: ({ name }) => name },
  { title: 'fields', value: (operation) => Object.keys(shapeOf(operation)).join(' '), shrink: true },
  { title: 'summary', value: ({ summary }) => summary, shrink: true },
]

/** Their answers hold a session's token, which would end on the screen. */
function refuseSignIn({ name, access }: Operation): void {
  if (access === 'public') throw new AppError('request.invalid', `${name} signs in. Run: keyward login`)
}

const shapeOf = ({ params, query, body }: Operation): Operation['body'] => ({ ...params, ...query, ...body })

function fieldsOf(operation: Operation, pairs: readonly string[]): Fields {
  const shape = shapeOf(operation)
  return Object.fromEntries(
    pairs.map((pair) => {
      const [name = '', text = ''] = splitOnce(pair)
      const type = shape[name]
      if (!type) {
        const names = Object.keys(shape).join(', ') || 'none'
        throw new InvalidArgumentError(`${operation.name} has no field ${name}; it has ${names}.`)
      }
      return [name, valueFor(type, text)]
    }),
  )
}

function splitOnce(pair: string): string[] {
  const at = pair.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('Write a field as name=value.')
  return [pair.slice(0, at), pair.slice(at + 1)]
}

/** Text where the shape takes text; else what the text means as JSON. */
function valueFor(type: Operation['body'][string], text: string): Json {
  if (type.safeParse(text).success) return text
  try {
    const value: Json = JSON.parse(text)
    return value
  } catch {
    return text
  }
}
