import type { Violation } from '../acl/limits.ts'
import type { Reason } from './explanation.ts'
import { type Facts, listed, placeOf } from './hints.ts'

/** The verdict in a sentence. */
export function mainReason(facts: Facts, policyNames: readonly string[]): Reason {
  const { verdict, asked, acl } = facts
  switch (verdict.kind) {
    case 'open':
      return { code: 'no-token-needed', text: `${asked.path} answers without a token.` }
    case 'any-token':
      return {
        code: 'any-token',
        text: `Every valid token may ask ${asked.path}; what it shows depends on its policies.`,
      }
    case 'granted':
      return acl.root
        ? { code: 'root', text: 'The token has the policy "root", which allows everything.' }
        : { code: 'granted', text: `Allowed by ${decidingPlaces(facts)}.` }
    case 'limited':
      return limitReason(facts, verdict.violation)
    case 'refused':
      return refusal(facts, verdict.missing, policyNames)
  }
}

function refusal(facts: Facts, missing: readonly string[], policyNames: readonly string[]): Reason {
  const { asked, deciding, wanted } = facts
  const denying = deciding.find(({ rule }) => rule.capabilities.includes('deny'))
  if (denying)
    return {
      code: 'denied',
      text: `${placeOf(denying)} denies ${denying.placed.path}, and a deny outweighs everything that other policies allow there.`,
    }
  const [first] = deciding
  if (!first) {
    const looked =
      policyNames.length === 0
        ? 'The token has no policies'
        : `None of its policies (${policyNames.join(', ')})`
    return {
      code: 'no-rule',
      text: `${looked}${policyNames.length === 0 ? ', so nothing covers' : ' has a rule for'} ${asked.path}. It needs ${listed(wanted.capabilities, wanted.mode === 'some' ? 'or' : 'and')}.`,
    }
  }
  const given = [...new Set(deciding.flatMap(({ rule }) => rule.capabilities))]
  const what = listed(missing, wanted.mode === 'some' ? 'or' : 'and')
  const gives = given.length === 0 ? 'gives nothing' : `gives ${listed(given)}`
  return {
    code: missing.length === 1 && missing[0] === 'sudo' ? 'sudo' : 'missing-capability',
    text:
      missing.length === 1 && missing[0] === 'sudo'
        ? `${asked.path} is protected: it needs sudo as well, which ${decidingPlaces(facts)} does not give.`
        : `The rule for ${first.placed.path} decides (${decidingPlaces(facts)}): it ${gives}, and ${what} is missing.`,
  }
}

function limitReason(facts: Facts, violation: Violation): Reason {
  const where = decidingPlaces(facts)
  switch (violation.kind) {
    case 'wrapping': {
      const { minSeconds, maxSeconds } = violation
      const bounds =
        maxSeconds === undefined ? `at least ${minSeconds} s` : `${minSeconds} s to ${maxSeconds} s`
      return {
        code: 'wrapping-ttl',
        text: `${where} wants the answer wrapped for ${bounds}: send X-Vault-Wrap-TTL (bao: -wrap-ttl).`,
      }
    }
    case 'missing':
      return {
        code: 'parameters-missing',
        text: `${where} requires ${plural(violation.names)} in the request.`,
      }
    case 'denied':
      return { code: 'parameters-denied', text: `${where} denies ${plural(violation.names)} as it was sent.` }
    case 'not-allowed':
      return {
        code: 'parameters-not-allowed',
        text: `${where} lists what may be sent, and ${plural(violation.names)} as it was sent is not in it.`,
      }
  }
}

const plural = (names: readonly string[]): string =>
  `the parameter${names.length === 1 ? '' : 's'} ${listed(names.map((name) => `"${name}"`))}`

const decidingPlaces = ({ deciding }: Facts): string => listed(deciding.map(placeOf))
