import { entropyOf, mixOf } from '../checks.ts'
import type { Confidence, Syntax } from '../finding.ts'
import { isLoose } from '../key-name.ts'
import { isHarmless, isPublicForm } from '../plausible.ts'
import { isTestOrExample } from '../syntax.ts'
import type { Sight } from './features.ts'
import { likelihoodOf as likelihoodByModel } from './model.ts'
import type { Found } from './read-value.ts'
import {
  isCode,
  isKeyboardNoise,
  isPathOrAddress,
  isScrambled,
  isUuid,
  looksDrawn,
  looksLikeName,
  namesItself,
  saysNothing,
} from './words.ts'

type Assigned = Found & { readonly key: string; readonly kind: 'password' | 'token' }
type Context = { readonly syntax: Syntax; readonly file: string }

export type Verdict = { readonly confidence: Confidence; readonly reasons: readonly string[] }

const likelihoodOf = (sight: Sight): number =>
  Math.max(likelihoodByModel(sight), looksDrawn(sight.value) ? 0.9 : 0)

/** How sure one can be that a value assigned to such a key is a secret; `undefined` when it is not one. */
export function judgeAssigned(assigned: Assigned, value: string, context: Context): Verdict | undefined {
  const { key, kind } = assigned
  if (isUuid(value)) return judgeUuid(assigned)
  const settled =
    (assigned.quote !== '' || configuration.has(context.syntax)) && isNoise(value)
      ? noise
      : judgeValue(assigned, value, context)
  if (!settled) return
  const shown = isTestOrExample(context.file)
  return {
    confidence: shown ? 'low' : settled.confidence,
    reasons: [
      `its key \`${key}\` names a ${kind === 'password' ? 'password' : isLoose(key) ? 'key of some kind' : 'secret'}`,
      settled.reason,
      ...(shown ? ['its file is a test, an example or documentation'] : []),
    ],
  }
}

const isNoise = (value: string): boolean =>
  (isKeyboardNoise(value) || isScrambled(value)) && !isPublicForm(value)
const noise: Settled = { confidence: 'medium', reason: 'the value is drawn from all signs of a keyboard' }

function judgeValue(assigned: Assigned, value: string, context: Context): Settled | undefined {
  const { key, kind } = assigned
  if (value.length < 6 || value.length > 600 || blank.test(value)) return
  if (isHarmless(value) || saysNothing(value) || namesItself(key, value)) return
  if (isPathOrAddress(value) || isCode(value)) return
  return kind === 'password' ? judgePassword(assigned, value, context) : judgeToken(key, value)
}

/** A value whose place alone says that it is a password. */
export function judgeAlone(value: string): Confidence | false {
  if (value.length < 4 || value.length > 128 || blank.test(value) || isUuid(value)) return false
  if (isHarmless(value) || saysNothing(value) || namesItself('', value)) return false
  if (isPathOrAddress(value) || isCode(value)) return false
  const likelihood = likelihoodOf({ value, kind: 'password' })
  if (likelihood < (looksLikeName(value) ? leastOfName(value, 'shell') : 0.5)) return false
  return likelihood >= 0.9 && value.length >= 8 ? 'medium' : 'low'
}

/** A value that a call takes for a key: chosen or drawn, it is one, unless it is a name. */
export function judgeKeyAlone(value: string): Confidence | false {
  if (isNoise(value)) return 'medium'
  const assigned: Assigned = {
    key: '',
    kind: 'token',
    start: 0,
    end: value.length,
    quote: '"',
    way: 'argument',
  }
  const settled = judgeValue(assigned, value, { syntax: 'code', file: '' })
  return settled?.confidence ?? false
}

/** A text is read byte for byte, and 0xa0 may be the second half of a letter. */
const blank = /[ \t\r\n\f\v]/

type Settled = { readonly confidence: Confidence; readonly reason: string }

const configuration: ReadonlySet<Syntax> = new Set(['env', 'ini', 'yaml', 'toml', 'shell', 'xml', 'json'])
const percent = (likelihood: number): string => `${Math.round(likelihood * 100)} %`

function judgePassword(assigned: Assigned, value: string, { syntax }: Context): Settled | undefined {
  // More than an accent or two is a sentence in another script.
  if (value.length > 128 || value.replace(/[\x21-\x7e]/g, '').length > 4) return
  const likelihood = likelihoodOf({ value, kind: 'password' })
  const reason = `the value looks like a password, not like a name (${percent(likelihood)})`
  if (/^[A-Za-z]+$/.test(value) && mixOf(value) < 0.25) {
    return isChosenWord(assigned, value, likelihood, syntax)
      ? { confidence: 'low', reason: `${reason}; it is a word` }
      : undefined
  }
  if (likelihood < (looksLikeName(value) ? leastOfName(value, syntax) : leastIn(syntax))) return
  return { confidence: likelihood >= 0.9 && value.length >= 8 ? 'medium' : 'low', reason }
}

function leastIn(syntax: Syntax): number {
  if (syntax === 'other') return 0.6
  return configuration.has(syntax) ? 0.25 : 0.35
}

/** Words joined as in a name: several of them are a phrase, when the model knows them from elsewhere than names. */
function leastOfName(value: string, syntax: Syntax): number {
  const several = value.split(/[._:/-]/).length >= 3 || /\d/.test(value)
  return several && configuration.has(syntax) ? 0.5 : several ? 0.6 : 0.9
}

/** One kind of letters: a word, which a program has many of. `pass` also has a past tense. */
function isChosenWord({ key, way }: Assigned, value: string, likelihood: number, syntax: Syntax): boolean {
  const least = configuration.has(syntax) && way !== 'text' ? 0.2 : 0.75
  return likelihood >= least && !looksLikeName(value) && !/^pass$/i.test(key)
}

function judgeToken(key: string, value: string): Settled | undefined {
  if (value.length < 8 || !/^[\x21-\x7e]+$/.test(value) || /[<>{}()[\],;]|^\d{1,15}$/.test(value)) return
  const loose = isLoose(key)
  const likelihood = likelihoodOf({ value, kind: loose ? 'loose' : 'token' })
  if (looksLikeName(value) && (likelihood < 0.8 || !/\d{2}/.test(value))) return
  const entropy = entropyOf(value)
  const reason = `the value looks random, not like a name (${percent(likelihood)}; ${entropy.toFixed(1)} bits a character)`
  if (loose) return likelihood >= 0.9 && isConvincing(value) ? { confidence: 'low', reason } : undefined
  if (likelihood < 0.6 || entropy < 2.5) return
  return { confidence: value.length >= 20 && likelihood >= 0.97 ? 'medium' : 'low', reason }
}

/** A value that needs no key to be taken for drawn. */
const isConvincing = (value: string): boolean =>
  value.length >= 20 &&
  entropyOf(value) >= 3.4 &&
  mixOf(value) >= 0.25 &&
  value.replace(/\D/g, '').length >= 2

/** An id, unless its key says that it is used as a key: some services issue such. */
function judgeUuid({ key, kind }: Assigned): Verdict | undefined {
  const strong =
    /secrets?$|(?:api|access|auth|bearer|refresh|bot|deploy|ingest|write|admin|service|personal|private|license)[-_.]?tokens?$/i
  if (kind !== 'password' && !strong.test(key) && (!/keys?$/i.test(key) || isLoose(key))) return
  return {
    confidence: 'low',
    reasons: [`its key \`${key}\` names a secret`, 'the value is a UUID, which some services issue as keys'],
  }
}
