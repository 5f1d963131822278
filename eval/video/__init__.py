"""Metrics of generated video: distances, perceptual similarity, cuts.

| module | metric | better |
|---|---|---|
| `fvd` | Frechet and kernel video distance between two sets of clips | lower |
| `lpips` | LPIPS, perceptual distance of two images | lower |
| `images` | PSNR [dB] and SSIM of two images | higher |
| `cuts` | scene cuts per 100 frames | lower |

Images are float32 (..., C, H, W) in [-1, 1]; only `cuts` reads uint8 (T, H, W, C),
as PySceneDetect does. Compute metrics from arrays or lossless files, never from
lossy previews. Learned metrics read their weights from the carrier packages of
requirements-weights.txt (see `weights`); nothing is downloaded while running.
"""
