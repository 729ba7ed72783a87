import type { Destination } from '@keyward/contract'

/** One place a line: `POST,PUT api.example.com:8443/v1/*`. Gives the line that is none instead. */
export function readPlaces(text: string): { readonly places: Destination[] } | { readonly wrong: string } {
  const places: Destination[] = []
  for (const line of text.split('\n').map((one) => one.trim())) {
    if (line === '') continue
    const [whole, methods, host = '', port, path] =
      /^(?:([A-Z]+(?:,[A-Z]+)*) +)?([^:/\s]+)(?::(\d{1,5}))?(\/\S*)?$/.exec(line) ?? []
    if (whole === undefined) return { wrong: line }
    places.push({
      host,
      port: Number(port ?? 443),
      ...(methods === undefined ? {} : { methods: methods.split(',') }),
      ...(path === undefined ? {} : path.includes('*') ? { pathPattern: path } : { pathPrefix: path }),
    })
  }
  return places.length === 0 ? { wrong: '' } : { places }
}
