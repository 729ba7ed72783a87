import type { Risk } from '@keyward/contract'

const risks: readonly Risk[] = ['low', 'medium', 'high', 'critical']

export const higherRisk = (a: Risk, b: Risk): Risk => (risks.indexOf(a) > risks.indexOf(b) ? a : b)
