// A `#` is a comment only at the start of a line or after white space, as in a shell. Node's own parser cuts an unquoted
// value at any `#`, and with it the field of every reference.
const line =
  /^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*(?:'([^']*)'|"((?:\\[\s\S]|[^"\\])*)"|([^\r\n]*))/gm

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' }

/** The variables of a `.env` file. Quoted values may go over lines; nothing is substituted. The last of a name wins. */
export function parseDotenv(text: string): Record<string, string> {
  const variables: Record<string, string> = {}
  for (const [, name = '', single, double, plain = ''] of text.replace(/^\ufeff/, '').matchAll(line)) {
    variables[name] = single ?? (double === undefined ? bare(plain) : unescaped(double))
  }
  return variables
}

const bare = (text: string): string => text.replace(/(^|[ \t]+)#.*$/, '').trim()

const unescaped = (text: string): string =>
  text.replace(
    /\\([\s\S])/g,
    (_, char: string) => escapes[char] ?? ('"\\$`'.includes(char) ? char : `\\${char}`),
  )
