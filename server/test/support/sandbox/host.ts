// The machine around the sandbox.
import assert from 'node:assert/strict'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { attacker, type Subject, temporaryFolder } from './attacker.ts'

export function hostContract({ driver, skip, stateDir }: Subject): void {
  const { shell } = attacker(driver)

  describe('the host', { skip }, () => {
    test('SAND-2: its secrets, homes and data folder are not there', async () => {
      const canary = join(stateDir, 'canary')
      await writeFile(canary, 'host-canary', { mode: 0o644 })
      const result = await shell(
        `cat /etc/shadow ${canary} /proc/1/root${canary}; ls /root ${stateDir} /home; ls -A /tmp /run`,
      )
      assert.doesNotMatch(result.stdoutTail, /host-canary|root:/)
      assert.equal(result.stdoutTail.replace(/\/(home|tmp|run):\n|\n/g, ''), 'agent')
    })

    test('SAND-2: its processes cannot be seen', async () => {
      const result = await shell('cd /proc && echo [0-9]* | wc -w')
      assert.ok(Number(result.stdoutTail) < 8, result.stdoutTail)
    })

    test('SAND-2: nothing outside the writable folders can be changed', async () => {
      const places = ['/usr', '/usr/bin', '/etc', '/', '/dev', '/opt/keyward', '/proc/sys/kernel']
      const script = places.map((place) => `touch ${place}/canary 2>/dev/null && echo ${place}`).join('; ')
      const result = await shell(
        `${script}; echo 1 > /proc/sys/vm/drop_caches; echo c > /proc/sysrq-trigger; echo end`,
      )
      assert.equal(result.stdoutTail, 'end\n')
      const fine = await shell(
        'for d in /workspace /tmp /var/tmp /run /dev/shm $HOME; do touch $d/x || exit 1; done',
      )
      assert.equal(fine.exitCode, 0, fine.stderrTail)
    })

    test('SAND-2: setuid programs give nothing', async () => {
      const result = await shell('su -c id root; passwd -d root; cat /proc/self/status')
      assert.match(result.stdoutTail, /^NoNewPrivs:\t1$/m)
      assert.match(result.stdoutTail, /^Seccomp:\t2$/m)
      for (const set of ['Prm', 'Eff', 'Bnd', 'Amb', 'Inh']) {
        assert.match(result.stdoutTail, new RegExp(`^Cap${set}:\\t0+$`, 'm'))
      }
      assert.doesNotMatch(result.stdoutTail, /uid=0/)
    })

    test('SAND-1: a path that was given is there, read-only', async (t) => {
      const folder = await temporaryFolder(t)
      await chmod(folder, 0o755)
      await writeFile(join(folder, 'tool'), 'tool', { mode: 0o644 })
      const result = await shell(`cat ${folder}/tool; echo x > ${folder}/tool || echo refused`, {
        readOnly: [folder],
      })
      assert.equal(result.stdoutTail, 'toolrefused\n')
      assert.equal(await readFile(join(folder, 'tool'), 'utf8'), 'tool')
    })
  })
}
