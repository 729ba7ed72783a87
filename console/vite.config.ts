import { fileURLToPath } from 'node:url'
import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'
import { browserContract } from './browser-contract.ts'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

export default defineConfig({
  root: here('.'),
  plugins: [browserContract(), react(), tailwindcss()],
  // The browser needs the contract's addresses and types only; the stand-in keeps the validator out of the bundle.
  resolve: { alias: { zod: here('src/api/no-shapes.ts') } },
  build: {
    outDir: here('dist'),
    emptyOutDir: true,
    // The content security policy allows no data: fonts or scripts, so nothing is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 600,
    reportCompressedSize: false,
    // The bundle carries the notices that its packages' licences ask for.
    license: { fileName: 'licenses.md' },
  },
  server: { proxy: { '/api': { target: 'http://127.0.0.1:8200', changeOrigin: true } } },
})
