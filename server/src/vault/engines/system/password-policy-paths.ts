import type { PathSpec } from '../../engine.ts'
import { textField } from '../../fields.ts'
import type { PasswordPolicies } from '../../password-policies.ts'
import { listed } from '../kv2.ts'

/** `sys/policies/password`: how passwords are made up. */
export function passwordPolicyPaths(policies: PasswordPolicies): PathSpec[] {
  return [
    { pattern: 'policies/password', list: async () => listed(await policies.names()) },
    {
      pattern: 'policies/password/{name}',
      events: { update: 'policy.written', delete: 'policy.deleted' },
      target: ({ params }) => `password-policy:${params['name'] ?? ''}`,
      async read({ params }) {
        const policy = await policies.read(params['name'] ?? '')
        return policy === undefined ? undefined : { data: { policy } }
      },
      async update(tx, { params, body }) {
        await policies.write(tx, params['name'] ?? '', decoded(textField(body, 'policy') ?? ''))
        return {}
      },
      async delete(tx, { params }) {
        await policies.remove(tx, params['name'] ?? '')
        return {}
      },
    },
    {
      pattern: 'policies/password/{name}/generate',
      async read({ params }) {
        const password = await policies.generate(params['name'] ?? '')
        return password && { data: { password: password.reveal() } }
      },
    },
  ]
}

/** Clients may send the text in base64. */
function decoded(text: string): string {
  const plain = Buffer.from(text, 'base64').toString('utf8')
  return /^[A-Za-z0-9+/=\s]+$/.test(text) && plain.includes('rule') ? plain : text
}
