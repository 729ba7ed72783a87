import { createTransport, type SMTPTransportOptions } from 'nodemailer'
import { reasonOf } from '../../core/index.ts'
import type { Channel, ChannelParts, Notice, Outcome } from '../channel.ts'
import type { Settings } from '../settings.ts'

const timeoutMs = 20_000

/** Links only: nothing is answered by mail. Mails about one subject form a thread; its reference is the id of the first. */
export function emailChannel({ settings, secret, open }: ChannelParts<Settings['email']>): Channel {
  const { host, port, tls, user, from, to, caPem } = settings
  const auth = user === undefined ? {} : { auth: { user, pass: secret('password').reveal() } }

  function transport() {
    const options: SMTPTransportOptions = {
      host,
      port,
      // The address that was judged is the one that is used; the certificate has to be the name's.
      getSocket(_, done) {
        open(host, port).then((connection) => done(null, { connection }), done)
      },
      secure: tls === 'implicit',
      requireTLS: tls === 'starttls',
      tls: { servername: host, minVersion: 'TLSv1.2', ...(caPem === undefined ? {} : { ca: caPem }) },
      ...auth,
      greetingTimeout: timeoutMs,
      socketTimeout: timeoutMs,
      disableFileAccess: true,
      disableUrlAccess: true,
    }
    return createTransport(options)
  }

  return {
    async deliver(notice, { id, reference }) {
      const messageId = `<${id}@${from.split('@').at(-1) ?? host}>`
      try {
        await transport().sendMail({
          from,
          to,
          subject: `[Keyward] ${notice.title}`.replace(/\s+/g, ' ').slice(0, 200),
          text: textOf(notice),
          messageId,
          headers: { 'Auto-Submitted': 'auto-generated' },
          ...(reference === null ? {} : { inReplyTo: reference, references: reference }),
        })
        return { state: 'sent', reference: reference ?? messageId }
      } catch (error) {
        return outcomeOf(error)
      }
    },
    async probe() {
      await transport().verify()
    },
  }
}

function textOf({ title, facts, preview, link, stage }: Notice): string {
  const lines = facts.map(([label, value]) => `${label}: ${value}`)
  const what = preview === null ? [] : ['', 'What would run:', preview]
  const next = stage === 'open' ? 'Look at it here; nothing is answered by mail:' : 'More of it:'
  const more = link === null ? [] : ['', next, link]
  return [title, '', ...lines, ...what, ...more, ''].join('\n')
}

/** A 5xx about the message or the people is final (RFC 5321, 4.2.1); about TLS or signing in, somebody may mend it. */
function outcomeOf(error: unknown): Outcome {
  const status = error instanceof Error && 'responseCode' in error ? Number(error.responseCode) : 0
  const about = error instanceof Error && 'code' in error ? String(error.code) : ''
  const problem = status === 0 ? reasonOf(error) : `the mail server answered ${status} (${about})`
  const isFinal = status >= 500 && ['EENVELOPE', 'EMESSAGE'].includes(about)
  return { state: isFinal ? 'never' : 'later', problem }
}
