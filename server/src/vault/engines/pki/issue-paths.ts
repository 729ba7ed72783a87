import type { Answer, Call, Grant, PathSpec, WriteHandler } from '../../engine.ts'
import { countField, textField } from '../../fields.ts'
import { invalid, list, recordFrom } from '../record-fields.ts'
import { type Authority, authorityFor } from './authority.ts'
import { type Application, issueCertificate, type Made, requestFrom, signRequest } from './issue.ts'
import type { Mount } from './mount.ts'
import { certificateData } from './output.ts'
import { askedFrom } from './profile.ts'
import { freeRole, type Role } from './role.ts'
import { newSerial, printSerial } from './serial.ts'
import { parseCertificate } from './x509/certificate.ts'
import { keyKindOf } from './x509/keys.ts'

/** What a caller of `sign-verbatim` says for a request that does not. */
const verbatimFields = {
  key_usage: list('DigitalSignature', 'KeyAgreement', 'KeyEncipherment'),
  ext_key_usage: list(),
  ext_key_usage_oids: list(),
}

type Outcome = Answer | WriteHandler | Grant

/** Certificates for whoever a role allows them: with a new key, or for a key that its owner keeps. */
export function issuePaths(mount: Mount): PathSpec[] {
  const each = (pattern: string, grant: (call: Call) => Promise<Outcome>): PathSpec[] =>
    [pattern, `issuer/{issuer}/${pattern}`].map((path) => ({
      pattern: path,
      grant,
      grantsBy: ['update'],
    }))
  return [
    ...each('issue/{role}', (call) => issue(mount, call)),
    ...each('sign/{role}', (call) => sign(mount, call)),
    ...each('sign-verbatim', (call) => signVerbatim(mount, call)),
    ...each('sign-verbatim/{role}', (call) => signVerbatim(mount, call)),
  ]
}

async function roleOf({ store }: Mount, { params }: Call): Promise<Role> {
  const name = params['role'] ?? ''
  const role = await store.roles.get(name)
  if (!role) throw invalid(`unknown role: ${name}`)
  return role
}

/** The issuer in the path, or the role's. */
async function begin(mount: Mount, call: Call, role: Role): Promise<[Authority, Application]> {
  const { body, now, params } = call
  const authority = await authorityFor(
    mount.store,
    params['issuer'] ?? role.issuer_ref,
    'issuing-certificates',
  )
  return [
    authority,
    {
      role,
      asked: askedFrom(body),
      body,
      limits: mount.limits(),
      displayName: call.token.record.displayName,
      now,
      serial: newSerial(),
    },
  ]
}

async function issue(mount: Mount, call: Call): Promise<Outcome> {
  const stored = await roleOf(mount, call)
  const { role, warnings } = withKeyKind(stored, call)
  const kind = keyKindOf(role.key_type, role.key_bits)
  const [authority, application] = await begin(mount, call, role)
  return finish(mount, call, authority, application, async () => {
    const made = await issueCertificate(authority, application, kind)
    return { ...made, warnings: [...made.warnings, ...warnings] }
  })
}

/** A role for any kind of key leaves the choice to the caller. */
function withKeyKind(role: Role, { body }: Call): { role: Role; warnings: string[] } {
  const type = textField(body, 'key_type')
  const bits = countField(body, 'key_bits')
  if (role.key_type !== 'any') {
    const ignored = type !== undefined || bits !== undefined
    return {
      role,
      warnings: ignored ? ['parameters key_type and key_bits ignored as role had specific values'] : [],
    }
  }
  if (type === undefined)
    throw invalid(
      'role key type "any" not allowed for issuing certificates without providing key_type and/or key_bits request parameters',
    )
  return { role: { ...role, key_type: type, key_bits: bits ?? 0 }, warnings: [] }
}

async function sign(mount: Mount, call: Call): Promise<Outcome> {
  const role = await roleOf(mount, call)
  const request = requestFrom(call.body)
  const [authority, application] = await begin(mount, call, role)
  const { asked } = application
  const warnings = [
    ...(role.use_csr_common_name && asked.common_name !== ''
      ? ['the common_name field was provided but the role is set with "use_csr_common_name" set to true']
      : []),
    ...(role.use_csr_sans && asked.alt_names.length > 0
      ? ['the alt_names field was provided but the role is set with "use_csr_sans" set to true']
      : []),
  ]
  return finish(mount, call, authority, application, async () => {
    const made = await signRequest(authority, application, request, false)
    return { ...made, warnings: [...made.warnings, ...warnings] }
  })
}

/** As the request has it: for callers that may ask for everything. A role adds its times and where it is kept. */
async function signVerbatim(mount: Mount, call: Call): Promise<Outcome> {
  const named = call.params['role'] === undefined ? undefined : await roleOf(mount, call)
  const { body } = call
  const usages = recordFrom(verbatimFields, body)
  const role = freeRole(body, {
    ...usages,
    key_type: 'any',
    use_csr_common_name: true,
    use_csr_sans: true,
    require_cn: false,
    ttl: named?.ttl ?? 0,
    max_ttl: named?.max_ttl ?? 0,
    no_store: named?.no_store ?? false,
    generate_lease: named?.generate_lease ?? false,
    not_before_duration: named?.not_before_duration ?? 30,
    not_after: named?.not_after ?? '',
    not_after_bound: named?.not_after_bound ?? 'permit',
    issuer_ref: named?.issuer_ref ?? 'default',
  })
  const request = requestFrom(body)
  const [authority, application] = await begin(mount, call, role)
  return finish(mount, call, authority, application, () => signRequest(authority, application, request, true))
}

/** Stored, unless the role says no, and with a lease if it says so. */
async function finish(
  mount: Mount,
  call: Call,
  authority: Authority,
  application: Application,
  make: () => Promise<Made>,
): Promise<Outcome> {
  const { role, asked } = application
  const made = await make()
  const answer = answerOf(made, authority, application)
  if (role.no_store) return answer
  const serial = made.serial.toString('hex')
  if (!role.generate_lease)
    return async (tx) => {
      await mount.store.certificates.put(tx, serial, made.der)
      return answer
    }
  const ttlSeconds = Math.floor((made.notAfter.getTime() - application.now.getTime()) / 1000)
  return {
    ttlSeconds,
    maxTtlSeconds: ttlSeconds,
    renewable: false,
    role: call.params['role'] ?? '',
    mostLeases: 0,
    state: { serial },
    async make() {
      await mount.write((tx) => mount.store.certificates.put(tx, serial, made.der))
      return certificateData({ ...made, chain: authority.chain }, asked)
    },
  }
}

function answerOf(made: Made, authority: Authority, { asked }: Application): Answer {
  const { serial, notAfter } = parseCertificate(made.der)
  return {
    data: certificateData({ ...made, chain: authority.chain }, asked),
    warnings: made.warnings,
    note: {
      serial: printSerial(serial),
      issuer: authority.issuer.record.id,
      notAfter: notAfter.toISOString(),
    },
  }
}
