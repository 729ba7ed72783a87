import { parentPort } from 'node:worker_threads'
import type { Engine } from '../engine.ts'
import { createFullEngine } from '../full-engine.ts'
import { createLooker } from './job.ts'
import { type Order, packed, type WorkerData } from './message.ts'

/** Looks through what this thread is given, one job after the other. */
export function work({ signs, ...blueprint }: WorkerData): void {
  const [index, life] = [0, 1]
  const shared = new Int32Array(signs)
  const full = createFullEngine(blueprint)
  // Each passage is a sign of life.
  const engine: Engine = {
    detect(passage) {
      Atomics.add(shared, life, 1)
      return full.detect(passage)
    },
  }
  const looker = createLooker(engine)

  parentPort?.on('message', async ({ job, passedOver }: Order) => {
    const begin = (at: number): void => void Atomics.store(shared, index, at)
    parentPort?.postMessage(packed(await looker.look(job, { passedOver, begin })))
  })
}
