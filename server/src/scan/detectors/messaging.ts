import { judgeEntropy } from '../checks.ts'
import { type Detector, prefixed } from '../detector.ts'

/** Chat, mail, telephony. */
export const messaging: readonly Detector[] = [
  prefixed({
    rule: 'slack-token',
    provider: 'slack',
    title: 'Slack token',
    keywords: ['xoxb-', 'xoxp-', 'xoxa-', 'xoxr-', 'xoxs-', 'xoxo-', 'xoxc-', 'xoxd-', 'xoxe-', 'xoxe.'],
    pattern:
      /xox(?:[bparsoc]-(?:\d{1,20}-){0,4}[A-Za-z0-9-]{10,80}|d-[A-Za-z0-9%/+=]{40,300}|e(?:\.xox[bp])?-\d-[A-Za-z0-9]{40,220})/,
    reach: { after: 320 },
    judge: judgeEntropy(3),
  }),
  prefixed({
    rule: 'slack-app-token',
    provider: 'slack',
    title: 'Slack app-level token',
    keywords: ['xapp-'],
    pattern: /xapp-\d-[A-Z0-9]{8,14}-\d{8,16}-[a-f0-9]{40,80}/i,
  }),
  prefixed({
    rule: 'slack-webhook',
    provider: 'slack',
    title: 'Slack incoming webhook',
    keywords: ['hooks.slack.com/'],
    pattern:
      /https:\/\/hooks\.slack\.com\/(?:services|workflows|triggers)\/[A-Z0-9]{8,14}\/[A-Za-z0-9]{8,24}\/[A-Za-z0-9]{16,48}/,
    reach: { before: 12, after: 120 },
  }),
  prefixed({
    rule: 'discord-webhook',
    provider: 'discord',
    title: 'Discord webhook',
    keywords: ['/api/webhooks/'],
    pattern:
      /https:\/\/(?:(?:ptb|canary)\.)?discord(?:app)?\.com\/api\/webhooks\/\d{17,20}\/[A-Za-z0-9_-]{60,80}/,
    reach: { before: 40, after: 120 },
  }),
  {
    rule: 'discord-bot-token',
    provider: 'discord',
    title: 'Discord bot token',
    confidence: 'high',
    keywords: ['discord', 'bot_token', 'bot.run', 'client.login'],
    pattern:
      /(?:discord|bot|client)[\w.-]{0,40}["'\])]{0,2}[ \t]{0,5}[=:(][ \t]{0,5}["']?(?:Bot )?(?<value>[MNO][A-Za-z0-9]{23,25}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38})(?![\w-])/i,
    reach: { before: 30, after: 160 },
  },
  {
    rule: 'telegram-bot-token',
    provider: 'telegram',
    title: 'Telegram bot token',
    confidence: 'high',
    keywords: [':AA'],
    pattern: /\d{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])/,
    reach: { before: 20 },
  },
  prefixed({
    rule: 'teams-webhook',
    provider: 'microsoft',
    title: 'Microsoft Teams incoming webhook',
    keywords: ['webhook.office.com/webhookb2/'],
    pattern:
      /https:\/\/[a-z0-9-]{1,60}\.webhook\.office\.com\/webhookb2\/[0-9a-f-]{36}@[0-9a-f-]{36}\/IncomingWebhook\/[0-9a-f]{32}\/[0-9a-f-]{36}(?:\/[A-Za-z0-9_-]{10,80})?/i,
    reach: { before: 80, after: 300 },
  }),
  {
    rule: 'twilio-auth-token',
    provider: 'twilio',
    title: 'Twilio auth token',
    confidence: 'high',
    keywords: ['twilio'],
    pattern:
      /twilio[\w.-]{0,30}(?:token|secret|auth)[\w.-]{0,10}["'\]]{0,2}[ \t]{0,5}[=:][ \t]{0,5}["']?(?<value>[0-9a-f]{32})(?![\w-])/i,
    judge: judgeEntropy(3),
  },
  prefixed({
    rule: 'twilio-api-key',
    provider: 'twilio',
    title: 'Twilio API key',
    confidence: 'medium',
    keywords: Array.from('0123456789abcdef', (digit) => `SK${digit}`),
    pattern: /SK[0-9a-f]{32}/,
    judge: judgeEntropy(3),
  }),
  prefixed({
    rule: 'sendgrid-api-key',
    provider: 'sendgrid',
    title: 'SendGrid API key',
    keywords: ['SG.'],
    pattern: /SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}/,
  }),
  prefixed({
    rule: 'mailgun-api-key',
    provider: 'mailgun',
    title: 'Mailgun API key',
    keywords: ['key-'],
    pattern: /key-[0-9a-f]{32}/,
    judge: judgeEntropy(3),
  }),
  {
    rule: 'mailgun-api-key',
    provider: 'mailgun',
    title: 'Mailgun API key',
    confidence: 'high',
    keywords: ['mailgun', 'mg_api'],
    pattern:
      /(?:mailgun|(?<![a-z])mg)[\w.-]{0,30}["'\]]{0,2}[ \t]{0,5}[=:][ \t]{0,5}["']?(?<value>[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8})(?![\w-])/i,
  },
  prefixed({
    rule: 'mailchimp-api-key',
    provider: 'mailchimp',
    title: 'Mailchimp API key',
    keywords: ['-us'],
    pattern: /[0-9a-f]{32}-us\d{1,2}/,
    reach: { before: 40, after: 6 },
    judge: judgeEntropy(3),
  }),
  prefixed({
    rule: 'brevo-api-key',
    provider: 'brevo',
    title: 'Brevo API key',
    keywords: ['xkeysib-'],
    pattern: /xkeysib-[0-9a-f]{64}-[A-Za-z0-9]{16}/,
  }),
  prefixed({
    rule: 'resend-api-key',
    provider: 'resend',
    title: 'Resend API key',
    keywords: ['re_'],
    pattern: /re_[A-Za-z0-9]{8}_[A-Za-z0-9]{24}/,
    judge: judgeEntropy(3.8),
  }),
  {
    rule: 'postmark-server-token',
    provider: 'postmark',
    title: 'Postmark server token',
    confidence: 'high',
    keywords: ['postmark'],
    pattern:
      /postmark[\w.-]{0,30}["'\]]{0,2}[ \t]{0,5}[=:][ \t]{0,5}["']?(?<value>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/i,
  },
]
