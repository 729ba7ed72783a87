import { AppError, type Secret } from '../../core/index.ts'
import type { Challenge } from '../messages.ts'
import { md5Answer, scramProof } from './scram.ts'

type Login = { readonly username: string; readonly password: Secret; readonly mayShow: boolean }

/** What a database is answered, worked out where the password is. */
export async function proofFor(
  { username, password, mayShow }: Login,
  challenge: Challenge,
): Promise<{ text: string; verifier: string }> {
  switch (challenge.kind) {
    case 'scram':
      return scramProof(password.reveal(), challenge.clientFirstBare, challenge.serverFirst).catch(() => {
        throw new AppError('egress.unreachable', 'The database does not follow SCRAM-SHA-256.')
      })
    case 'md5':
      return { text: md5Answer(username, password.reveal(), challenge.salt), verifier: '' }
    case 'cleartext':
      if (mayShow) return { text: password.reveal(), verifier: '' }
      throw new AppError(
        'egress.denied',
        'The database asks for the password itself. The grant must allow that: "cleartext": true.',
      )
  }
}
