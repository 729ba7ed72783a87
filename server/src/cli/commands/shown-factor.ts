import { type ApprovalView, api } from '@keyward/contract'
import { AppError } from '../../core/index.ts'
import type { Client } from '../client.ts'
import type { CommandNeeds } from '../needs.ts'
import { confirmTyped } from './second-factor.ts'

/**
 * Gives the answer, and asks whoever sits at the terminal for a code where the server wants a second factor first. What this
 * terminal cannot show is shown in the console.
 */
export async function withSecondFactor<T>(
  terminal: CommandNeeds['terminal'],
  client: Client,
  { id }: Pick<ApprovalView, 'id'>,
  answer: () => Promise<T>,
): Promise<T> {
  try {
    return await answer()
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'approval.second_factor')) throw error
    if (!terminal.interactive) throw error
    const { items } = await client.call(api.secondFactors.list, {})
    if (items.length === 0)
      throw new AppError('approval.second_factor', 'you have none yet: keyward second-factor add-totp')
    if (!items.some(({ kind }) => kind === 'totp'))
      throw new AppError(
        'approval.second_factor',
        `a security key is shown to a browser. Answer at ${new URL(`/approvals/${id}`, client.address)}`,
      )
    await confirmTyped(terminal, client, 'code')
    return answer()
  }
}
