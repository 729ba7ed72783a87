import { parentPort } from 'node:worker_threads'
import type { Engine } from '../engine.ts'
import { createFullEngine } from '../full-engine.ts'
import { createLooker } from './job.ts'
import { notBegun, type Order, packed, type Report, type WorkerData } from './message.ts'

/** Looks through what this thread is given, one job after the other. */
export function work({ signs, ...blueprint }: WorkerData): void {
  const [index, life, working] = [0, 1, 2]
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

  const begin = (at: number): void => void Atomics.store(shared, index, at)
  let before = Promise.resolve()

  async function carryOut({ number, job, passedOver }: Order): Promise<void> {
    begin(notBegun)
    Atomics.store(shared, working, number)
    const looked = await looker.look(job, { passedOver, begin })
    parentPort?.postMessage({ number, packed: packed(looked) } satisfies Report)
  }

  parentPort?.on('message', (order: Order) => {
    before = before.then(() => carryOut(order))
  })
}
