/** A value that both databases take. */
export type SqlValue = string | number | null | Uint8Array

/** A statement and its values, kept apart: a value never becomes part of the text. `?` marks each value's place. */
export type Sql = { readonly text: string; readonly values: readonly SqlValue[] }

const isSql = (value: unknown): value is Sql => typeof value === 'object' && value !== null && 'text' in value

/** By the place in the code where a statement stands: one text for all its uses, so that finding the prepared statement is quick. */
const textAt = new WeakMap<TemplateStringsArray, string>()

/** sql`select * from t where id = ${id}`; a nested sql`…` is spliced in with its values. */
export function sql(strings: TemplateStringsArray, ...parts: readonly (SqlValue | Sql)[]): Sql {
  if (!parts.some(isSql)) return { text: textOf(strings), values: parts as readonly SqlValue[] }
  let text = strings[0] ?? ''
  const values: SqlValue[] = []
  parts.forEach((part, i) => {
    if (isSql(part)) {
      text += part.text
      values.push(...part.values)
    } else {
      text += '?'
      values.push(part)
    }
    text += strings[i + 1] ?? ''
  })
  return { text, values }
}

function textOf(strings: TemplateStringsArray): string {
  const known = textAt.get(strings)
  if (known !== undefined) return known
  const text = strings.join('?')
  textAt.set(strings, text)
  return text
}

/** Values for `in (…)`; must not be empty. */
export function sqlList(values: readonly SqlValue[]): Sql {
  return { text: values.map(() => '?').join(','), values }
}
