import { readFileSync } from 'node:fs'
import { cells, featuresOf, type Sight } from './features.ts'

/** Made by `node bench/quality/train.ts`: one signed byte for each cell, in base64. */
type Weights = { readonly scale: number; readonly bias: number; readonly weights: string }

/** How likely a value is a secret, from 0 to 1, judged by the value and the kind of its key alone. */
export type Model = (sight: Sight) => number

function createModel({ scale, bias, weights }: Weights): Model {
  const bytes = Buffer.from(weights, 'base64')
  if (bytes.length !== cells) throw new RangeError(`the model has ${bytes.length} weights, not ${cells}`)
  const table = new Int8Array(bytes)
  return (sight) => {
    let sum = 0
    for (const [cell, strength] of featuresOf(sight)) sum += strength * (table[cell] ?? 0)
    return 1 / (1 + Math.exp(-(sum * scale + bias)))
  }
}

const shipped = JSON.parse(readFileSync(new URL('./weights.json', import.meta.url), 'utf8')) as Weights

/** The model that Keyward ships. */
export const likelihoodOf: Model = createModel(shipped)
