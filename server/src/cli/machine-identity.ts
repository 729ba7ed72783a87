import { X509Certificate } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { api } from '@keyward/contract'
import { AppError, Secret } from '../core/index.ts'
import type { Client } from './client.ts'
import { readPrivateFile, writePrivateFile } from './private-file.ts'
import { newSigningRequest } from './signing-request.ts'

/** By what a machine of an agent is known, and whom it trusts; in a folder of its own. */
export type MachineIdentity = {
  readonly agentId: string
  /** `host:port` of the server for such machines; null when it did not listen when this was issued. */
  readonly address: string | null
  readonly keyPem: Secret
  readonly certificatePem: string
  /** Who signed the certificate and the server's. */
  readonly authorityPem: string
  /** Who signs for destinations. */
  readonly egressAuthorityPem: string
  readonly validFrom: Date
  readonly validUntil: Date
}

const machineFiles = {
  key: 'key.pem',
  certificate: 'certificate.pem',
  authority: 'authority.pem',
  egressAuthority: 'egress-ca.pem',
  about: 'machine.json',
} as const

/** A new key and a certificate for it. The key is made here and stays here. */
export async function issueMachineIdentity(
  client: Client,
  folder: string,
  { agentId, ttlSeconds }: { agentId: string; ttlSeconds: number | undefined },
): Promise<MachineIdentity> {
  const { requestPem, keyPem } = newSigningRequest()
  const issued = await client.call(api.certificates.issue, {
    agentId,
    signingRequest: requestPem,
    ttlSeconds,
  })
  const { certificate, certificatePem, authorityPem, egressAuthorityPem, address } = issued
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const at = (name: keyof typeof machineFiles): string => join(folder, machineFiles[name])
  await writePrivateFile(at('key'), keyPem.reveal())
  await writePrivateFile(at('certificate'), certificatePem)
  await writePrivateFile(at('authority'), authorityPem)
  await writePrivateFile(at('egressAuthority'), egressAuthorityPem)
  await writePrivateFile(at('about'), `${JSON.stringify({ agentId: certificate.agentId, address })}\n`)
  return readMachineIdentity(folder)
}

/** Throws `request.invalid` when the folder holds none, or its key can be read by others. */
export async function readMachineIdentity(folder: string): Promise<MachineIdentity> {
  const at = (name: keyof typeof machineFiles): string => join(folder, machineFiles[name])
  const key = await readPrivateFile(at('key'))
  if (key === undefined)
    throw new AppError(
      'request.invalid',
      `${folder} holds no ${machineFiles.key}. Have one issued: keyward agents certificate <agent> --out ${folder}`,
    )
  const [certificatePem, authorityPem, egressAuthorityPem, about] = await Promise.all(
    (['certificate', 'authority', 'egressAuthority', 'about'] as const).map((name) =>
      readFile(at(name), 'utf8'),
    ),
  )
  if (!certificatePem || !authorityPem || !egressAuthorityPem || !about)
    throw new AppError('request.invalid', `a file of ${folder} is empty. Have another certificate issued`)
  const { agentId, address } = JSON.parse(about) as Pick<MachineIdentity, 'agentId' | 'address'>
  const { validFromDate: validFrom, validToDate: validUntil } = new X509Certificate(certificatePem)
  const pems = { certificatePem, authorityPem, egressAuthorityPem }
  return { agentId, address, keyPem: new Secret(key), ...pems, validFrom, validUntil }
}
