import type { Block, KnownBlock } from '@slack/web-api'
import type { Notice } from '../channel.ts'
import { bounded } from '../notices.ts'

/** Of Block Kit: https://docs.slack.dev/reference/block-kit/blocks/ . Stayed well below: Slack counts what it makes of a text. */
const longestHeader = 150
const longestField = 500
const longestSection = 2800
const mostFields = 10

export const approveAction = 'keyward.approve'
export const denyAction = 'keyward.deny'

export type SlackMessage = { readonly text: string; readonly blocks: (Block | KnownBlock)[] }

/** What is of low risk has buttons; everything has the link to its page. */
export function slackMessage(notice: Notice): SlackMessage {
  const { title, facts, preview, question } = notice
  const blocks: KnownBlock[] = [
    { type: 'header', text: { type: 'plain_text', text: bounded(title, longestHeader), emoji: false } },
  ]
  if (facts.length > 0)
    blocks.push({
      type: 'section',
      fields: facts.slice(0, mostFields).map(([label, value]) => fieldOf(label, value)),
    })
  if (preview !== null) blocks.push({ type: 'section', text: { type: 'mrkdwn', text: codeOf(preview) } })
  const elements = [...answersOf(question), ...linkOf(notice)]
  if (elements.length > 0) blocks.push({ type: 'actions', elements })
  return { text: escaped(bounded(title, longestField)), blocks }
}

const fieldOf = (label: string, value: string) => ({
  type: 'mrkdwn' as const,
  text: `*${escaped(label)}*\n${escaped(bounded(value, longestField))}`,
})

function answersOf(question: Notice['question']) {
  if (!question) return []
  const value = `${question.approvalId} ${question.digest}`
  const button = (text: string, action_id: string, style: 'primary' | 'danger') => ({
    type: 'button' as const,
    text: { type: 'plain_text' as const, text },
    style,
    action_id,
    value,
  })
  return [button('Approve', approveAction, 'primary'), button('Deny', denyAction, 'danger')]
}

const linkOf = ({ link, stage, question }: Notice) => {
  const text = stage === 'open' && !question ? 'Review in Keyward' : 'Open in Keyward'
  const button = {
    type: 'button' as const,
    text: { type: 'plain_text' as const, text },
    action_id: 'keyward.open',
  }
  return link === null ? [] : [{ ...button, url: link }]
}

/** Nothing of a text is a link, a mention or markup: https://docs.slack.dev/messaging/formatting-message-text/ */
const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

const codeOf = (text: string): string => {
  const safe = escaped(text.replaceAll('```', "'''"))
  return `\`\`\`${safe.length > longestSection ? `${safe.slice(0, longestSection).replace(/&\w*$/, '')}…` : safe}\`\`\``
}
