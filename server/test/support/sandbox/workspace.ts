// What goes in and what comes out.
import assert from 'node:assert/strict'
import { accessSync, constants, existsSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { attacker, type Subject, temporaryFolder } from './attacker.ts'

export function workspaceContract({ driver, skip, named }: Subject): void {
  const { shell } = attacker(driver)

  describe('the workspace', { skip }, () => {
    test('SAND-1: a folder is copied in and what the command made comes out; the original stays', async (t) => {
      const folder = await temporaryFolder(t)
      const workspace = join(folder, 'in')
      await mkdir(join(workspace, 'deep/er'), { recursive: true })
      await writeFile(join(workspace, 'deep/er/text'), 'before')
      await writeFile(join(workspace, 'tool.sh'), '#!/bin/sh\necho made > made\n')
      await chmod(join(workspace, 'tool.sh'), 0o755)
      const workspaceOut = join(folder, 'out')
      const script = './tool.sh; echo after > deep/er/text; head -c 3000000 /dev/zero > large; mkdir empty'
      const result = await shell(script, { workspace, workspaceOut })
      assert.equal(result.exitCode, 0, result.stderrTail)
      assert.equal(await readFile(join(workspaceOut, 'made'), 'utf8'), 'made\n')
      assert.equal(await readFile(join(workspaceOut, 'deep/er/text'), 'utf8'), 'after\n')
      assert.equal((await readFile(join(workspaceOut, 'large'))).length, 3_000_000)
      assert.ok(existsSync(join(workspaceOut, 'empty')))
      accessSync(join(workspaceOut, 'tool.sh'), constants.X_OK)
      assert.equal(await readFile(join(workspace, 'deep/er/text'), 'utf8'), 'before')
      assert.ok(!existsSync(join(workspace, 'made')))
    })

    test('SAND-2: a link planted inside brings no host file out', async (t) => {
      const folder = await temporaryFolder(t)
      const workspaceOut = join(folder, 'out')
      const script =
        'ln -s /etc/passwd passwd; ln -s / root; mkfifo pipe; mkdir a; ln -s ../.. a/up; echo x > kept'
      const result = await shell(script, { workspaceOut })
      assert.deepEqual((await readdir(workspaceOut, { recursive: true })).sort(), ['a', 'kept'])
      assert.deepEqual([...result.leftBehind].sort(), ['a/up', 'passwd', 'pipe', 'root'])
    })

    test('SAND-2: a link in the given folder leads to the sandbox’s own files', async (t) => {
      const folder = await temporaryFolder(t)
      const workspace = join(folder, 'in')
      await mkdir(workspace)
      await writeFile(join(folder, 'outside'), 'outside-canary')
      await symlink('/etc/passwd', join(workspace, 'passwd'))
      await symlink('../outside', join(workspace, 'outside'))
      const result = await shell('cat passwd; cat outside', { workspace })
      if (named !== false) assert.match(result.stdoutTail, /^agent:/m)
      assert.doesNotMatch(result.stdoutTail, /outside-canary|nobody/)
    })

    test('SAND-2: a workspace larger than the disk limit is refused before the command runs', async (t) => {
      const folder = await temporaryFolder(t)
      await writeFile(join(folder, 'large'), Buffer.alloc(2_000_000))
      const attempt = shell('echo ran', { workspace: folder, limits: { diskBytes: 1_000_000 } })
      await assert.rejects(attempt, { code: 'sandbox.failed' })
    })

    test('SAND-2: a result folder that holds something is never written into', async (t) => {
      const folder = await temporaryFolder(t)
      await writeFile(join(folder, 'mine'), 'mine')
      await assert.rejects(shell('echo x > mine', { workspaceOut: folder }), { code: 'sandbox.failed' })
      assert.equal(await readFile(join(folder, 'mine'), 'utf8'), 'mine')
    })

    test('SAND-2: a command that kills its guest loses its result, and nothing else happens', async (t) => {
      const folder = await temporaryFolder(t)
      const result = await shell('echo x > x; kill -9 $PPID; sleep 60', { workspaceOut: join(folder, 'out') })
      assert.equal(result.exitCode, null)
      assert.equal(result.signal, 'SIGKILL')
      assert.deepEqual(await readdir(join(folder, 'out')), [])
    })
  })
}
