// What stops each attack in a pod is what its manifest asks for: no kubelet runs here, which would do it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Container, PodSpec } from 'kubernetes-types/core/v1.d.ts'
import { sandboxAttacks } from '../../test/attack/sandbox-attacks.ts'
import type { Guard } from '../../test/attack/sandbox-without.ts'
import { testLimits } from '../../test/support/sandbox/attacker.ts'
import { jobFor } from './kubernetes-job.ts'

type Asked = { readonly pod: PodSpec; readonly container: Container }
const without =
  (...keys: readonly (keyof PodSpec)[]) =>
  ({ pod }: Asked): boolean =>
    keys.every((key) => pod[key] === undefined)

/** By guard: whether the manifest asks for it. */
const asksFor: Partial<Record<Guard, (asked: Asked) => boolean>> = {
  user: ({ pod, container: { securityContext: own } }) =>
    pod.securityContext?.runAsNonRoot === true &&
    (pod.securityContext.runAsUser ?? 0) >= 1_900_000_000 &&
    own?.privileged === false &&
    own.allowPrivilegeEscalation === false &&
    own.capabilities?.drop?.includes('ALL') === true &&
    own.capabilities.add === undefined,
  // The runtime's own filter: which calls it refuses is the runtime's to say.
  filter: ({ pod, container }) =>
    pod.securityContext?.seccompProfile?.type === 'RuntimeDefault' &&
    container.securityContext?.seccompProfile === undefined,
  mounts: ({ pod }) => pod.volumes?.every((volume) => volume.emptyDir?.medium === 'Memory') === true,
  proc: ({ pod, container }) =>
    without('hostPID', 'shareProcessNamespace')({ pod, container }) &&
    container.securityContext?.procMount === undefined,
  ipc: without('hostIPC'),
  // What the pod's own network reaches is for its NetworkPolicy, and tried by a canary before anything is run.
  network: without('hostNetwork'),
  addresses: without('hostNetwork', 'hostAliases'),
  'read-only': ({ container }) => container.securityContext?.readOnlyRootFilesystem === true,
  devices: ({ container }) =>
    container.volumeDevices === undefined && container.securityContext?.privileged === false,
  limits: ({ container }) =>
    container.resources?.limits?.['memory'] !== undefined &&
    ['ulimit -p', 'ulimit -n', 'ulimit -c'].every((word) => container.command?.[2]?.includes(word)),
}

test('SAND-2: for each attack the manifest of a pod asks for everything that stops it', () => {
  const spec = { id: 'one', command: ['true'] as const, env: {}, limits: testLimits }
  const job = jobFor({ spec, name: 'keyward-one', label: 'here', user: 1_900_000_001, image: 'x', guest: '' })
  const pod = job.spec?.template.spec
  const [container] = pod?.containers ?? []
  assert.ok(pod && container)
  assert.equal(pod.initContainers ?? pod.ephemeralContainers, undefined)
  const lacking = sandboxAttacks.flatMap(({ name, guards }) =>
    guards
      .filter((guard) => asksFor[guard]?.({ pod, container }) !== true)
      .map((guard) => `${name}: ${guard}`),
  )
  assert.deepEqual(lacking, [])
})
