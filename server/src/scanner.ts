import type { Scanner, Sources } from './scan/index.ts'

/**
 * The scanner for the key as it is now. Building one takes longer than scanning a file; `fingerprintKey` throws while sealed. Its
 * code comes with the first scan: a server that scans nothing keeps twelve megabytes.
 */
export function keepScanner(fingerprintKey: () => Promise<Buffer>, searchPath: string) {
  let kept: { key: Buffer; scanner: Scanner; sources: Sources } | undefined
  const current = async () => {
    const key = await fingerprintKey()
    const { createScanner, createSources } = await import('./scan/index.ts')
    if (!kept?.key.equals(key)) {
      const scanner = createScanner({ fingerprintKey: key, threads: 'always', searchPath })
      kept = { key, scanner, sources: createSources({ scanner, searchPath }) }
    }
    return kept
  }
  return {
    scanner: async () => (await current()).scanner,
    sources: async () => (await current()).sources,
  }
}
