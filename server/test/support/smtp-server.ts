// A mail server on loopback that speaks as much of SMTP as one message needs: EHLO, STARTTLS, AUTH PLAIN, MAIL, RCPT, DATA.

import type { AddressInfo } from 'node:net'
import { createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { createSecureContext, TLSSocket } from 'node:tls'
import { newCertificate } from './certificate.ts'
import { cleanUp } from './clean-up.ts'

export type Mail = {
  readonly from: string
  readonly to: string[]
  readonly text: string
  readonly secure: boolean
}
type Conversation = {
  secure: boolean
  signedIn: boolean
  from: string
  to: string[]
  data: string[] | undefined
}

export type SmtpServer = {
  readonly port: number
  readonly caPem: string
  readonly mails: Mail[]
  /** What the next `MAIL FROM` is answered with. */
  readonly next: string[]
}

export async function startSmtp(
  t: TestContext,
  { user, password, starttls = true }: { user: string; password: string; starttls?: boolean },
): Promise<SmtpServer> {
  const { cert, key, ca } = newCertificate('localhost')
  const secureContext = createSecureContext({ cert, key })
  const mails: Mail[] = []
  const next: string[] = []
  const proof = Buffer.from(`\0${user}\0${password}`).toString('base64')

  const answers: Readonly<Record<string, (rest: string, talk: Conversation) => string>> = {
    EHLO: (_, { secure }) =>
      secure
        ? '250-localhost\r\n250 AUTH PLAIN'
        : starttls
          ? '250-localhost\r\n250 STARTTLS'
          : '250 localhost',
    AUTH(rest, talk) {
      talk.signedIn = rest === `PLAIN ${proof}`
      return talk.signedIn ? '235 ok' : '535 wrong'
    },
    MAIL(rest, talk) {
      const told = next.shift()
      if (told !== undefined) return told
      if (!talk.signedIn) return '530 sign in first'
      talk.from = rest
      return '250 ok'
    },
    RCPT(rest, talk) {
      talk.to.push(rest)
      return '250 ok'
    },
    DATA(_, talk) {
      talk.data = []
      return '354 go on'
    },
    QUIT: () => '221 bye',
  }

  function takeLine(line: string, talk: Conversation): string | undefined {
    if (talk.data) {
      if (line !== '.') {
        talk.data.push(line)
        return undefined
      }
      mails.push({ from: talk.from, to: talk.to, text: talk.data.join('\n'), secure: talk.secure })
      talk.data = undefined
      return '250 kept'
    }
    const [verb = '', ...rest] = line.split(' ')
    return answers[verb.toUpperCase()]?.(rest.join(' '), talk) ?? '500 what?'
  }

  function converse(socket: Socket, secure: boolean): void {
    const talk: Conversation = { secure, signedIn: false, from: '', to: [], data: undefined }
    let held = ''
    const hear = (chunk: Buffer): void => {
      held += chunk.toString()
      for (let end = held.indexOf('\r\n'); end >= 0; end = held.indexOf('\r\n')) {
        const line = held.slice(0, end)
        held = held.slice(end + 2)
        if (line.toUpperCase() === 'STARTTLS' && !secure && starttls) {
          socket.off('data', hear)
          socket.write('220 go on\r\n')
          const inner = new TLSSocket(socket, { isServer: true, secureContext })
          inner.on('error', () => socket.destroy())
          converse(inner, true)
          return
        }
        const answer = takeLine(line, talk)
        if (answer !== undefined) socket.write(`${answer}\r\n`)
      }
    }
    socket.on('data', hear)
    socket.on('error', () => socket.destroy())
  }

  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    socket.write('220 localhost\r\n')
    converse(socket, false)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUp(t, () => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, caPem: ca, mails, next }
}
