import type { Plugin } from 'vite'
import { api } from '../contract/src/api.ts'

/**
 * The API as the browser needs it: of each operation its method, its path and the names of its fields. Summaries, shapes and
 * failures stay on the server, which validates. See `requestOf` in src/api/client.ts for who reads it.
 */
export function browserContract(): Plugin {
  return {
    name: 'browser-contract',
    enforce: 'pre',
    load: (id) => (id.endsWith('/contract/src/api.ts') ? moduleText() : undefined),
  }
}

type Fields = Readonly<Record<string, unknown>>
type Read = { readonly method: string; readonly path: string; readonly query: Fields; readonly body: Fields }

function moduleText(): string {
  const nouns = Object.entries<Readonly<Record<string, Read>>>(api).map(
    ([noun, verbs]) => `${noun}:{${Object.entries(verbs).map(operationText).join(',')}}`,
  )
  return `const fields=(names)=>Object.fromEntries(names?names.split(' ').map((name)=>[name,true]):[]);
const operation=(method,path,query,body)=>({method,path,query:fields(query),body:fields(body)});
export const api={${nouns.join(',')}};`
}

function operationText([verb, { method, path, query, body }]: [string, Read]): string {
  const words = [method, path, Object.keys(query).join(' '), Object.keys(body).join(' ')]
  return `${verb}:operation(${words.map((word) => JSON.stringify(word)).join(',')})`
}
