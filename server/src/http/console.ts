import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { extname, join, normalize, sep } from 'node:path'
import type { FastifyReply, FastifyRequest } from 'fastify'

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
}

/** Serves the built console. Any address that is no file is the application itself, which routes in the browser. */
export function consoleHandler(folder: string) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const path = normalize(decodePath(request.url))
    const wanted = join(folder, path)
    const inside = wanted === folder || wanted.startsWith(folder + sep)
    const file = inside && (await isFile(wanted)) ? wanted : join(folder, 'index.html')
    if (!(await isFile(file)))
      return reply
        .code(503)
        .type('text/plain')
        .send('The console has not been built. Run: npm run build -w @keyward/console\n')
    const immutable = path.startsWith('/assets/') && file === wanted
    return reply
      .header('cache-control', immutable ? 'public, max-age=31536000, immutable' : 'no-cache')
      .type(types[extname(file)] ?? 'application/octet-stream')
      .send(createReadStream(file))
  }
}

function decodePath(url: string): string {
  try {
    return decodeURIComponent(url.split('?')[0] ?? '/')
  } catch {
    return '/'
  }
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile()
  } catch {
    return false
  }
}
