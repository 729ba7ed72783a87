import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A certificate that is its own authority, and its private key; PEM. */
export function newClientCertificate(name: string): { certificatePem: string; keyPem: string } {
  const folder = mkdtempSync(join(tmpdir(), 'kwt-'))
  const [keyout, out] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
  try {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    const made = ['-x509', ...key, '-subj', `/CN=${name}`, '-days', '2', '-keyout', keyout, '-out', out]
    execFileSync('openssl', ['req', ...made], { stdio: 'ignore' })
    return { certificatePem: readFileSync(out, 'utf8'), keyPem: readFileSync(keyout, 'utf8') }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
