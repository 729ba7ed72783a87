import { AppError, referencePattern, Secret } from '../../core/index.ts'
import { valueBehind } from '../resolve-references.ts'
import { readVariables, type VariableFormat } from '../variables.ts'

export type TemplateFormat = VariableFormat | 'text'

export type Template = {
  /** For messages. */
  readonly name: string
  readonly text: string
  readonly format: TemplateFormat
}
type Values = ReadonlyMap<string, Secret>
export type Manifest = { readonly name: string; readonly namespace: string | undefined }

/**
 * The template with each reference replaced by its value. A value is quoted as its format wants it, so that none can end the place
 * that it stands in; in plain text it stands as it is.
 */
export async function renderTemplate(template: Template, values: Values): Promise<Secret> {
  const { name, text, format } = template
  const filled = (part: string): string => fill(part, name, values)
  switch (format) {
    case 'text':
      return new Secret(filled(text))
    case 'dotenv':
      return new Secret(dotenvOf(filledIn(await readVariables(name, text, 'dotenv'), filled)))
    case 'json':
      return new Secret(`${JSON.stringify(filledJson(name, text, filled), null, 2)}\n`)
    case 'yaml':
      return new Secret(await filledYaml(name, text, filled))
  }
}

/** A Kubernetes Secret with the template's variables as its data: https://kubernetes.io/docs/concepts/configuration/secret/ */
export async function renderManifest(
  template: Template,
  values: Values,
  manifest: Manifest,
): Promise<Secret> {
  const { name, text, format } = template
  if (format === 'text')
    throw new AppError('request.invalid', `${name}: a manifest is made of variables: a .env, JSON or YAML`)
  const variables = filledIn(await readVariables(name, text, format), (part) => fill(part, name, values))
  const wrong = Object.keys(variables).find((key) => !/^[-._A-Za-z0-9]{1,253}$/.test(key))
  if (wrong !== undefined)
    throw new AppError('request.invalid', `${name}: "${wrong}" cannot be a key of a Kubernetes Secret`)
  const { stringify } = await import('yaml')
  const encoded = Object.entries(variables).map(([key, value]) => [
    key,
    Buffer.from(value).toString('base64'),
  ])
  return new Secret(
    stringify({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: manifest.name, ...(manifest.namespace ? { namespace: manifest.namespace } : {}) },
      type: 'Opaque',
      data: Object.fromEntries(encoded),
    }),
  )
}

const fill = (text: string, where: string, values: Values): string =>
  text.replace(referencePattern(), (found) => valueBehind(values, found, where).reveal())

const filledIn = (
  variables: Readonly<Record<string, string>>,
  filled: (part: string) => string,
): Record<string, string> =>
  Object.fromEntries(Object.entries(variables).map(([key, value]) => [key, filled(value)]))

const dotenvOf = (variables: Readonly<Record<string, string>>): string =>
  Object.entries(variables)
    .map(([name, value]) => `${name}=${quoted(value)}\n`)
    .join('')

/** As a shell reads it: single quotes take everything as it is, and where they cannot stand, double ones with escapes. */
function quoted(value: string): string {
  if (/^[\w@%+=:,./-]*$/.test(value)) return value
  return value.includes("'") ? `"${value.replace(/[\\"$`]/g, '\\$&')}"` : `'${value}'`
}

function filledJson(name: string, text: string, filled: (part: string) => string): unknown {
  try {
    return JSON.parse(text, (_, value: unknown) => (typeof value === 'string' ? filled(value) : value))
  } catch (error) {
    if (error instanceof AppError) throw error
    throw new AppError('request.invalid', `${name} is no JSON`)
  }
}

/** Comments, order and anchors stay. */
async function filledYaml(name: string, text: string, filled: (part: string) => string): Promise<string> {
  const { parseAllDocuments, visit } = await import('yaml')
  const documents = parseAllDocuments(text)
  if (!Array.isArray(documents) || documents.some(({ errors }) => errors.length > 0))
    throw new AppError('request.invalid', `${name} is no YAML`)
  for (const document of documents)
    visit(document, {
      Scalar(_, node) {
        if (typeof node.value === 'string' && node.value.includes('keyward://')) {
          node.value = filled(node.value)
          // What would be read as a number or a truth value is quoted.
          delete node.source
        }
      },
    })
  return documents.map((document) => document.toString({ lineWidth: 0 })).join('')
}
