import { isForm, isJson, placeholdersIn, type RequestParts, readBasic } from './placeholders.ts'
import { readSignature } from './sigv4.ts'

/**
 * Where in a request a placeholder stands, as the server judges it: `bearer`, `aws`, `basic:password`, `header:x-api-key`,
 * `query:key`, `path`, `cookie:session`, `body:/auth/key`, or `body` where nobody can say which part of it.
 */
export type Place = string

type Note = (text: string, place: Place) => void

/** Every placeholder of a request, with each of its places. */
export function placesIn({ target, headers, body, contentType }: RequestParts): Map<string, Place[]> {
  const places = new Map<string, Place[]>()
  const note: Note = (text, place) => {
    for (const found of placeholdersIn(text)) places.set(found, [...(places.get(found) ?? []), place])
  }
  noteTarget(target, note)
  for (let at = 0; at + 1 < headers.length; at += 2)
    noteHeader((headers[at] ?? '').toLowerCase(), headers[at + 1] ?? '', note)
  if (body) noteBody(body.toString('latin1'), contentType, note)
  return places
}

function noteTarget(target: string, note: Note): void {
  const [path = '', ...query] = target.split('?')
  note(path, 'path')
  notePairs(query.join('?').split('&'), 'query:', note)
}

/** `name=value` each; a placeholder in the name itself has no place that could be allowed. */
function notePairs(pairs: readonly string[], prefix: string, note: Note): void {
  for (const pair of pairs) {
    const [name = '', ...value] = pair.split('=')
    note(name, `${prefix}?`)
    note(value.join('='), prefix + decoded(name.trim()))
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    // What is no percent-encoding stands for itself.
    return text
  }
}

function noteHeader(name: string, value: string, note: Note): void {
  const basic = readBasic(value)
  if (name === 'cookie') notePairs(value.split(';'), 'cookie:', note)
  else if (name === 'authorization' && basic) {
    const [username = '', ...password] = basic.text.split(':')
    note(username, 'basic:username')
    note(password.join(':'), 'basic:password')
  } else {
    note(basic?.text ?? value, name === 'authorization' ? authorizationPlace(value) : `header:${name}`)
  }
}

function authorizationPlace(value: string): Place {
  if (/^bearer +\S+$/i.test(value)) return 'bearer'
  return readSignature(value) ? 'aws' : 'header:authorization'
}

function noteBody(text: string, contentType: string, note: Note): void {
  if (isForm(contentType)) {
    notePairs(text.split('&'), 'body:/', note)
    return
  }
  const known: [text: string, place: Place][] = []
  if (isJson(contentType)) walk(parsed(text), '', (found, place) => known.push([found, place]))
  // A member that stands twice, or an escape: what was read is then not all that was written.
  const isAll = known.flatMap(([found]) => placeholdersIn(found)).length === placeholdersIn(text).length
  for (const [found, place] of isAll ? known : [[text, 'body'] as const]) note(found, place)
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not JSON, whatever its type says: its placeholders are found as text.
    return undefined
  }
}

function walk(value: unknown, pointer: string, note: Note): void {
  if (typeof value === 'string') note(value, `body:${pointer}`)
  else if (Array.isArray(value)) for (const [i, item] of value.entries()) walk(item, `${pointer}/${i}`, note)
  else if (typeof value === 'object' && value !== null)
    for (const [key, item] of Object.entries(value)) {
      note(key, 'body')
      walk(item, `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`, note)
    }
}
