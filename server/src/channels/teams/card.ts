import type { Notice } from '../channel.ts'
import { bounded } from '../notices.ts'

export const cardType = 'application/vnd.microsoft.card.adaptive'
export const approveVerb = 'keyward.approve'
export const denyVerb = 'keyward.deny'

const longestText = 500

/** Adaptive Card 1.4, the first with Action.Execute: https://adaptivecards.io/explorer/ . Nothing in it is read as markup. */
export function cardOf(notice: Notice, { answers }: { answers: boolean }): object {
  const { title, facts, preview, question, link } = notice
  const shown = facts.map(([label, value]) => ({ title: label, value: bounded(value, longestText) }))
  const body: object[] = [
    plain(title, { weight: 'bolder' }),
    { type: 'FactSet', facts: shown },
    ...(preview === null ? [] : [plain(preview, { fontType: 'monospace' })]),
  ]
  const buttons =
    answers && question ? [button('Approve', approveVerb, question), button('Deny', denyVerb, question)] : []
  return {
    type: 'AdaptiveCard',
    $schema: 'https://adaptivecards.io/schemas/adaptive-card.json',
    version: '1.4',
    fallbackText: bounded(title, longestText),
    body,
    actions: [
      ...buttons,
      ...(link === null ? [] : [{ type: 'Action.OpenUrl', title: 'Open in Keyward', url: link }]),
    ],
  }
}

/** A TextBlock reads Markdown; a run of a RichTextBlock does not. */
const plain = (text: string, style: object): object => ({
  type: 'RichTextBlock',
  inlines: [{ type: 'TextRun', text, ...style }],
})

const button = (title: string, verb: string, data: object): object => ({
  type: 'Action.Execute',
  title,
  verb,
  data,
  style: verb === approveVerb ? 'positive' : 'destructive',
})
